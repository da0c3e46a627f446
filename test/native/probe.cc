// Prints the instruction sets whose test programs this machine can run, the widest last.
#include <stdio.h>

int main() {
#if defined(__x86_64__)
  puts("baseline");
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) puts("avx2");
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    puts("avx512");
  }
#else
  puts("neon");
#endif
}
