// Matrix products and convolutions of other libraries by themselves. bench/peers.ts compiles it once a library:
//   g++ -std=c++17 -O2 -march=native -fopenmp -DPEER_OPENBLAS bench/peers/native.cc -o peer -lopenblas
//   g++ -std=c++17 -O2 -march=native -fopenmp -DPEER_ONEDNN bench/peers/native.cc -o peer -ldnnl
// peer THREADS answers requests on standard input as bench/serve.ts says. oneDNN's convolutions run in the layout that it prefers:
// reordering operands is not timed.
#include <omp.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <regex>
#include <string>
#include <unordered_map>
#include <vector>

#if defined(PEER_OPENBLAS)
#include <cblas.h>
#elif defined(PEER_ONEDNN)
#include <dnnl.hpp>
#else
#error "define PEER_OPENBLAS or PEER_ONEDNN"
#endif

using Call = std::function<void()>;

static void fill(float* values, size_t n) {
  uint32_t x = 2463534242u;
  for (size_t i = 0; i < n; ++i) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    values[i] = static_cast<float>(x >> 8) / 16777216.0f - 0.5f;
  }
}

// Floats on their own cache lines, freed with the last call that holds them.
static std::shared_ptr<float> floats(size_t n) {
  auto* memory = static_cast<float*>(std::aligned_alloc(64, (n * 4 + 63) / 64 * 64));
  fill(memory, n);
  return {memory, std::free};
}

// C (m,n) = op(A) op(B), all row-major; the letters say what is stored transposed.
static Call gemm(bool ta, bool tb, int m, int n, int k) {
  const auto a = floats(static_cast<size_t>(m) * static_cast<size_t>(k));
  const auto b = floats(static_cast<size_t>(k) * static_cast<size_t>(n));
  const auto c = floats(static_cast<size_t>(m) * static_cast<size_t>(n));
  const int lda = ta ? m : k, ldb = tb ? k : n;
  return [=] {
#if defined(PEER_OPENBLAS)
    cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m, n, k, 1, a.get(), lda,
                b.get(), ldb, 0, c.get(), n);
#else
    dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1, a.get(), lda, b.get(), ldb, 0, c.get(), n);
#endif
  };
}

#if defined(PEER_ONEDNN)
// Shapes by the names of bench/kernels/conv.ts.
struct Convolution {
  long batch, in, size, out, kernel, stride, padding, groups = 1;
  int rank = 2;
  bool by_data = true;  // bwd is both gradients
};

static const std::unordered_map<std::string, Convolution> kConvolutions{
    {"c3x3-64-32x32-b32", {32, 64, 32, 64, 3, 1, 1}},
    {"c3x3-256-8x8-b32", {32, 256, 8, 256, 3, 1, 1}},
    {"c3x3-512-4x4-b32", {32, 512, 4, 512, 3, 1, 1}},
    {"c7x7s2-3-64-224-b4", {4, 3, 224, 64, 7, 2, 3, 1, 2, false}},
};

// What conv-fwd-32x64x28-128k3s2p1g4 asks for, as bench/kernels/conv.ts says; batch 0 if that is no such name.
static Convolution sizes(const std::string& name) {
  static const std::regex pattern(
      "conv(1d)?-[a-z]+-(\\d+)x(\\d+)x(\\d+)-(\\d+)k(\\d+)(?:s(\\d+))?(?:p(\\d+))?(?:g(\\d+))?");
  std::smatch match;
  if (!std::regex_match(name, match, pattern)) return {};
  const auto number = [&](int i, long otherwise) {
    return match[i].matched ? std::atol(match[i].str().c_str()) : otherwise;
  };
  return {number(2, 0), number(3, 0), number(4, 0),
          number(5, 0), number(6, 0), number(7, 1),
          number(8, 0), number(9, 1), match[1].matched ? 1 : 2,
          true};
}

static Call prepared(const dnnl::engine& engine, const dnnl::primitive& work,
                     const std::vector<std::pair<int, dnnl::memory::desc>>& operands) {
  std::unordered_map<int, dnnl::memory> arguments;
  for (const auto& [which, desc] : operands) {
    dnnl::memory memory(desc, engine);
    fill(static_cast<float*>(memory.get_data_handle()), desc.get_size() / sizeof(float));
    arguments.emplace(which, memory);
  }
  dnnl::stream stream(engine);
  return [work, arguments, stream]() mutable {
    work.execute(stream, arguments);
    stream.wait();
  };
}

// `which`: fwd, bwdd (by data), bwdw (by weight) or bwd (both, or by weight only).
static Call convolution(const std::string& which, const Convolution& c) {
  using namespace dnnl;
  const engine e(engine::kind::cpu, 0);
  const long side = (c.size + 2 * c.padding - c.kernel) / c.stride + 1;
  const auto any = [](const memory::dims& dims) {
    return memory::desc(dims, memory::data_type::f32, memory::format_tag::any);
  };
  const auto with = [&](memory::dims dims, long size) {
    dims.insert(dims.end(), static_cast<size_t>(c.rank), size);
    return dims;
  };
  const memory::desc x = any(with({c.batch, c.in}, c.size)), y = any(with({c.batch, c.out}, side));
  const memory::desc w =
      any(c.groups > 1 ? with({c.groups, c.out / c.groups, c.in / c.groups}, c.kernel) : with({c.out, c.in}, c.kernel));
  const memory::dims stride = with({}, c.stride), pad = with({}, c.padding);
  const auto direct = algorithm::convolution_direct;
  using Forward = convolution_forward;
  using ByWeight = convolution_backward_weights;
  using ByData = convolution_backward_data;
#if DNNL_VERSION_MAJOR >= 3
  const Forward::primitive_desc f(e, prop_kind::forward_training, direct, x, w, y, stride, pad, pad);
  const ByWeight::primitive_desc bw(e, direct, x, w, y, stride, pad, pad, f);
  const ByData::primitive_desc bd(e, direct, x, w, y, stride, pad, pad, f);
#else
  const Forward::primitive_desc f({prop_kind::forward_training, direct, x, w, y, stride, pad, pad}, e);
  const ByWeight::primitive_desc bw({direct, x, w, y, stride, pad, pad}, e, f);
  const ByData::primitive_desc bd({direct, x, w, y, stride, pad, pad}, e, f);
#endif
  const auto forward = [&] {
    return prepared(e, Forward(f),
                    {{DNNL_ARG_SRC, f.src_desc()}, {DNNL_ARG_WEIGHTS, f.weights_desc()}, {DNNL_ARG_DST, f.dst_desc()}});
  };
  const auto by_weight = [&] {
    return prepared(e, ByWeight(bw),
                    {{DNNL_ARG_SRC, bw.src_desc()},
                     {DNNL_ARG_DIFF_DST, bw.diff_dst_desc()},
                     {DNNL_ARG_DIFF_WEIGHTS, bw.diff_weights_desc()}});
  };
  const auto by_data = [&] {
    return prepared(e, ByData(bd),
                    {{DNNL_ARG_DIFF_DST, bd.diff_dst_desc()},
                     {DNNL_ARG_WEIGHTS, bd.weights_desc()},
                     {DNNL_ARG_DIFF_SRC, bd.diff_src_desc()}});
  };
  if (which == "fwd") return forward();
  if (which == "bwdd") return by_data();
  if (which == "bwdw" || !c.by_data) return by_weight();
  return [a = by_weight(), b = by_data()] {
    a();
    b();
  };
}
#endif

static std::string library() {
#if defined(PEER_OPENBLAS)
  const std::string config = openblas_get_config();  // "OpenBLAS 0.3.21 …"
  const size_t from = config.find(' ') + 1;
  return "openblas" + config.substr(from, config.find(' ', from) - from);
#else
  const dnnl_version_t* version = dnnl_version();
  return "onednn" + std::to_string(version->major) + "." + std::to_string(version->minor);
#endif
}

// The call behind a name, empty if there is none.
static Call find(const std::string& name) {
  char a = 0, b = 0;
  int m = 0, n = 0, k = 0, end = 0;
  const bool matched = std::sscanf(name.c_str(), "gemm-%c%c-%dx%dx%d%n", &a, &b, &m, &n, &k, &end) == 5;
  if (matched && static_cast<size_t>(end) == name.size() && m > 0 && n > 0 && k > 0)
    return gemm(a == 't', b == 't', m, n, k);
#if defined(PEER_ONEDNN)
  if (name.rfind("conv", 0) == 0) {
    const size_t from = name.find('-') + 1, dash = name.find('-', from);
    const auto shape = kConvolutions.find(dash == std::string::npos ? "" : name.substr(dash + 1));
    const std::string which = name.substr(from, dash - from);
    const Convolution c = shape != kConvolutions.end() ? shape->second : sizes(name);
    if (c.batch > 0 && (which == "fwd" || which == "bwd" || which == "bwdd" || which == "bwdw"))
      return convolution(which, c);
  }
#endif
  return {};
}

static double milliseconds(const Call& call, long calls) {
  const auto start = std::chrono::steady_clock::now();
  for (long i = 0; i < calls; ++i) call();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

// The value of a field in one line of flat JSON.
static std::string field(const std::string& line, const std::string& key) {
  const size_t at = line.find('"' + key + "\":");
  if (at == std::string::npos) return "";
  size_t from = at + key.size() + 3;
  const bool text = line[from] == '"';
  if (text) ++from;
  return line.substr(from, line.find_first_of(text ? "\"" : ",}", from) - from);
}

static double peak_rss_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  omp_set_num_threads(threads);
#if defined(PEER_OPENBLAS)
  openblas_set_num_threads(threads);
#endif
  constexpr double kBlockMs = 10;
  std::string current, line;
  Call call;
  while (std::getline(std::cin, line)) {
    const std::string name = field(line, "name");
    if (name != current) {
      call = nullptr;
      call = find(name);
      current = name;
      if (call && milliseconds(call, 1) < 100) milliseconds(call, 2);
    }
    if (!call) {
      std::cout << "{\"unsupported\":true}" << std::endl;
      continue;
    }
    const double budget = std::atof(field(line, "budget").c_str()) * 1e3;
    const size_t least = std::strtoul(field(line, "least").c_str(), nullptr, 10);
    double once = milliseconds(call, 1);
    std::vector<double> ms(once > budget ? 1 : 0, once);  // as timed() of bench/statistics.ts does it
    if (once <= kBlockMs) once = std::min(once, milliseconds(call, 1));
    const long block = std::max(1L, static_cast<long>(kBlockMs / std::max(1e-4, once)));
    double spent = ms.empty() ? 0 : once;
    while (ms.empty() || spent < (ms.size() < least ? std::max(4 * budget, 1e3) : budget)) {
      const double took = milliseconds(call, block);
      spent += took;
      ms.push_back(took / static_cast<double>(block));
    }
    std::cout << "{\"lib\":\"" << library() << "\",\"facts\":{\"peak_rss_mb\":" << peak_rss_mb() << "},\"ms\":[";
    for (size_t i = 0; i < ms.size(); ++i) std::cout << (i > 0 ? "," : "") << ms[i];
    std::cout << "]}" << std::endl;
  }
}
