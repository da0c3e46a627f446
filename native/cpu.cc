#include "cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#define MYELIN_X86 1
#endif
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace myelin {

// CMake defines MYELIN_HAVE_<ISA> for each kernel table that it builds.
#ifdef MYELIN_HAVE_BASELINE
namespace baseline {
const Kernel* kernels();
}
#endif
#ifdef MYELIN_HAVE_AVX2
namespace avx2 {
const Kernel* kernels();
}
#endif
#ifdef MYELIN_HAVE_AVX512
namespace avx512 {
const Kernel* kernels();
}
#endif
#ifdef MYELIN_HAVE_NEON
namespace neon {
const Kernel* kernels();
}
#endif

namespace {

std::vector<Isa> list_isas() {
  std::vector<Isa> list;
#ifdef MYELIN_X86
  __builtin_cpu_init();
  const bool has_avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
                        __builtin_cpu_supports("bmi2") != 0 && __builtin_cpu_supports("f16c") != 0;
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") != 0 &&
                          __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
                          __builtin_cpu_supports("avx512vl") != 0;
  Isa avx512_isa{"avx512", nullptr, has_avx512};
  Isa avx2_isa{"avx2", nullptr, has_avx2};
#ifdef MYELIN_HAVE_AVX512
  avx512_isa.kernels = avx512::kernels();
#endif
#ifdef MYELIN_HAVE_AVX2
  avx2_isa.kernels = avx2::kernels();
#endif
  list.push_back(avx512_isa);
  list.push_back(avx2_isa);
#endif
#if defined(__aarch64__)
  Isa neon_isa{"neon", nullptr, true};
#ifdef MYELIN_HAVE_NEON
  neon_isa.kernels = neon::kernels();
#endif
  list.push_back(neon_isa);
#endif
  Isa baseline_isa{"baseline", nullptr, true};
#ifdef MYELIN_HAVE_BASELINE
  baseline_isa.kernels = baseline::kernels();
#endif
  list.push_back(baseline_isa);
  return list;
}

struct Choice {
  const Isa* isa = nullptr;
  std::string why;
};

Choice choose() {
  Choice choice;
  const char* wanted = getenv("MYELIN_ISA");
  const bool any = wanted == nullptr || *wanted == '\0';
  std::string usable;
  for (const Isa& isa : isas()) {
    if (isa.kernels == nullptr || !isa.supported) continue;
    usable += (usable.empty() ? "" : ", ") + std::string(isa.name);
    if (choice.isa == nullptr && (any || strcmp(wanted, isa.name) == 0)) choice.isa = &isa;
  }
  if (choice.isa == nullptr) {
    choice.why = any ? "myelin: no kernels for this CPU in this build"
                     : "MYELIN_ISA: expected one of " + usable + " on this machine, got '" + wanted + "'";
  }
  return choice;
}

// The first line of a small file, without its end; empty when there is none.
std::string first_line(const std::string& path) {
  std::string line;
  if (FILE* file = fopen(path.c_str(), "re")) {
    char text[512];
    if (fgets(text, sizeof text, file) != nullptr) line = text;
    fclose(file);
  }
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  return line;
}

#if defined(__linux__)

// CPUs that a quota of `quota` microseconds every `period` allows; 0: no quota.
int quota_cores(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return 0;
  return std::max(1, static_cast<int>(std::min(quota / period + 0.999, 1e6)));
}

int quota_of(const std::string& directory, bool unified) {
  double quota = 0;
  double period = 0;
  if (unified) {
    if (sscanf(first_line(directory + "/cpu.max").c_str(), "%lf %lf", &quota, &period) != 2) return 0;
  } else {
    quota = atof(first_line(directory + "/cpu.cfs_quota_us").c_str());
    period = atof(first_line(directory + "/cpu.cfs_period_us").c_str());
  }
  return quota_cores(quota, period);
}

// The smallest quota from the process's group up to the root of the hierarchy mounted at `root`; 0: none.
int group_cores(const std::string& root, std::string group, bool unified) {
  int cores = 0;
  for (;;) {
    const int here = quota_of(root + group, unified);
    if (here > 0 && (cores == 0 || here < cores)) cores = here;
    const size_t slash = group.rfind('/');
    if (slash == std::string::npos || group.empty()) return cores;
    group.resize(slash);
  }
}

int cgroup_cores() {
  int cores = 0;
  FILE* file = fopen("/proc/self/cgroup", "re");
  if (file == nullptr) return 0;
  char text[4096];
  while (fgets(text, sizeof text, file) != nullptr) {
    // hierarchy:controllers:path
    std::string line = text;
    while (!line.empty() && line.back() == '\n') line.pop_back();
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    std::string group = line.substr(second + 1);
    if (group == "/") group.clear();
    int here = 0;
    if (controllers == ",,") {
      here = group_cores("/sys/fs/cgroup", group, true);
      if (here == 0) here = group_cores("/sys/fs/cgroup/unified", group, true);
    } else if (controllers.find(",cpu,") != std::string::npos) {
      here = group_cores("/sys/fs/cgroup/cpu", group, false);
      if (here == 0) here = group_cores("/sys/fs/cgroup/cpu,cpuacct", group, false);
    }
    if (here > 0 && (cores == 0 || here < cores)) cores = here;
  }
  fclose(file);
  return cores;
}

int affinity_cores() {
  for (int cpus = 1024; cpus <= (1 << 18); cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(cpus));
    if (set == nullptr) return 0;
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(cpus));
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    const int count = known ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (known) return count;
  }
  return 0;
}

size_t cache_from_sys(int level) {
  for (int index = 0; index < 8; ++index) {
    const std::string base = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    const std::string type = first_line(base + "/type");
    if (type.empty()) break;
    if (type == "Instruction" || atoi(first_line(base + "/level").c_str()) != level) continue;
    size_t size = 0;
    char unit = 0;
    if (sscanf(first_line(base + "/size").c_str(), "%zu%c", &size, &unit) < 1) return 0;
    return unit == 'K' ? size << 10 : unit == 'M' ? size << 20 : size;
  }
  return 0;
}

size_t cache_bytes(int level) {
  const size_t known = cache_from_sys(level);
  if (known > 0) return known;
  long size = -1;
#ifdef _SC_LEVEL1_DCACHE_SIZE
  size = sysconf(level == 1 ? _SC_LEVEL1_DCACHE_SIZE : level == 2 ? _SC_LEVEL2_CACHE_SIZE : _SC_LEVEL3_CACHE_SIZE);
#endif
  return size > 0 ? static_cast<size_t>(size) : 0;
}

#elif defined(__APPLE__)

size_t cache_bytes(int level) {
  static const char* const names[] = {"hw.l1dcachesize", "hw.l2cachesize", "hw.l3cachesize"};
  int64_t value = 0;
  size_t size = sizeof value;
  return sysctlbyname(names[level - 1], &value, &size, nullptr, 0) == 0 ? static_cast<size_t>(value) : 0;
}

#else

size_t cache_bytes(int) { return 0; }

#endif

int count_cores() {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  const int affinity = affinity_cores();
  if (affinity > 0) cores = affinity;
  const int quota = cgroup_cores();
  if (quota > 0) cores = std::min(cores, quota);
#endif
  return std::max(1, cores);
}

}  // namespace

const std::vector<Isa>& isas() {
  static const std::vector<Isa>* const list = new std::vector<Isa>(list_isas());
  return *list;
}

const Isa* chosen_isa(std::string* why) {
  static const Choice* const choice = new Choice(choose());
  if (choice->isa == nullptr && why != nullptr) *why = choice->why;
  return choice->isa;
}

std::vector<std::string> cpu_features() {
  std::vector<std::string> list;
#ifdef MYELIN_X86
  __builtin_cpu_init();
#define MYELIN_FEATURE(name) \
  if (__builtin_cpu_supports(name) != 0) list.emplace_back(name);
  MYELIN_FEATURE("sse2")
  MYELIN_FEATURE("sse4.1")
  MYELIN_FEATURE("sse4.2")
  MYELIN_FEATURE("avx")
  MYELIN_FEATURE("avx2")
  MYELIN_FEATURE("fma")
  MYELIN_FEATURE("bmi2")
  MYELIN_FEATURE("avx512f")
  MYELIN_FEATURE("avx512bw")
  MYELIN_FEATURE("avx512dq")
  MYELIN_FEATURE("avx512vl")
  MYELIN_FEATURE("avx512vnni")
#undef MYELIN_FEATURE
#elif defined(__aarch64__)
  list.emplace_back("neon");
#endif
  return list;
}

std::string cpu_name() {
#ifdef MYELIN_X86
  unsigned words[12] = {};
  if (__get_cpuid_max(0x80000000u, nullptr) < 0x80000004u) return "unknown";
  for (unsigned i = 0; i < 3; ++i) {
    __get_cpuid(0x80000002u + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3]);
  }
  char text[49] = {};
  memcpy(text, words, 48);
  std::string name = text;
  while (!name.empty() && name.back() == ' ') name.pop_back();
  return name.substr(std::min(name.find_first_not_of(' '), name.size()));
#elif defined(__APPLE__)
  char text[128] = {};
  size_t size = sizeof text - 1;
  return sysctlbyname("machdep.cpu.brand_string", text, &size, nullptr, 0) == 0 ? text : "unknown";
#else
  const std::string model = first_line("/sys/firmware/devicetree/base/model");
  return model.empty() ? "unknown" : model;
#endif
}

Caches cpu_caches() { return {cache_bytes(1), cache_bytes(2), cache_bytes(3)}; }

int usable_cores() {
  static const int cores = count_cores();
  return cores;
}

}  // namespace myelin
