// The kernels of one instruction set in the order of ops.def. Compiled once per instruction set.
#include "call.h"

namespace myelin {
namespace MYELIN_ISA {

#define OP(name, inputs, outputs, params) Status name(const Call& c);
#include "../ops.def"
#undef OP

const Kernel* kernels();
const Kernel* kernels() {
  static const Kernel kernel_table[] = {
#define OP(name, inputs, outputs, params) name,
#include "../ops.def"
#undef OP
  };
  return kernel_table;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
