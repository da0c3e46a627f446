// What this machine is: instruction sets, cores, caches; and the choice of kernels made from it.
#pragma once
#include <stddef.h>

#include <string>
#include <vector>

#include "kernels/call.h"

namespace myelin {

struct Isa {
  const char* name;
  const Kernel* kernels;  // null when this build leaves the instruction set out
  bool supported;         // the CPU and the system can run it
};

struct Caches {
  size_t l1d, l2, l3;  // bytes; 0 when unknown
};

// All instruction sets this library knows for this architecture, best first.
const std::vector<Isa>& isas();

// The one whose kernels run: the best that is compiled in and supported, or the one that the environment variable
// MYELIN_ISA names. Null, with `why` filled in, when there is no such one. Decided by the first call.
const Isa* chosen_isa(std::string* why);

std::vector<std::string> cpu_features();
std::string cpu_name();
Caches cpu_caches();

// CPUs that this process may use: the smaller of its affinity mask and its cgroup's quota, rounded up; at least 1.
int usable_cores();

}  // namespace myelin
