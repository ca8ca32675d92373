// libcublas: matrix products by plain loops.
#include "rounding.h"
#include "state.h"
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace emu {
namespace {

enum Status { success = 0, not_initialized = 1, invalid_value = 7, not_supported = 15 };
enum Type { f32 = 0, f64 = 1 };
enum Compute { compute_f32 = 68, compute_f64 = 70, compute_bf16 = 75, compute_tf32 = 77 }; // those of f32 in bf16 and TF32 sum in f32

// A matrix in columns.
struct Matrix { Address at; int type, rows, columns, stride; long long step; };

size_t extent(const Matrix &m, int batch) { return (batch - 1) * m.step + size_t(m.columns - 1) * m.stride + m.rows; }

template <class T> void multiply(bool ta, bool tb, int m, int n, int k, T alpha, const T *a, int lda, const T *b, int ldb, T beta, T *c, int ldc, int compute) {
    auto read = [&](T x) { return compute == compute_tf32 ? T(rounded_to_tf32(float(x))) : compute == compute_bf16 ? T(of_bf16(rounded_to_bf16(float(x)))) : x; };
    std::vector<T> columns(size_t(m) * k), sum(m); // of op(a)
    for (int l = 0; l < k; l++)
        for (int i = 0; i < m; i++) columns[size_t(l) * m + i] = read(ta ? a[size_t(i) * lda + l] : a[size_t(l) * lda + i]);
    for (int j = 0; j < n; j++) {
        std::fill(sum.begin(), sum.end(), T(0));
        for (int l = 0; l < k; l++) {
            const T y = read(tb ? b[size_t(l) * ldb + j] : b[size_t(j) * ldb + l]);
            const T *x = &columns[size_t(l) * m];
            for (int i = 0; i < m; i++) sum[i] += x[i] * y;
        }
        T *to = c + size_t(j) * ldc;
        for (int i = 0; i < m; i++) to[i] = beta == 0 ? alpha * sum[i] : alpha * sum[i] + beta * to[i]; // beta 0: not read
    }
}

void *const HANDLE = reinterpret_cast<void *>(6);
const void *stream_of_handle; // the program has one handle

} // namespace

extern "C" {

int cublasCreate_v2(void **handle) {
    *handle = HANDLE;
    return success;
}
int cublasDestroy_v2(void *) { return success; }
int cublasSetStream_v2(void *, void *stream) {
    Hold hold(lock);
    if (!is_stream(stream)) return refuse(invalid_value, "cublasSetStream: no such stream");
    stream_of_handle = stream;
    return success;
}
int cublasSetWorkspace_v2(void *, void *at, size_t bytes) {
    if (reinterpret_cast<uintptr_t>(at) % 256) return refuse(invalid_value, "cublasSetWorkspace: the workspace is not aligned to 256 bytes");
    if (bytes) check_range("cublasSetWorkspace", reinterpret_cast<Address>(at), bytes);
    return success;
}
int cublasGetVersion_v2(void *, int *version) {
    *version = 130000;
    return success;
}
const char *cublasGetStatusName(int) { return "CUBLAS_STATUS"; }
const char *cublasGetStatusString(int) { return "refused by the emulated device"; }
int cublasGemmStridedBatchedEx(void *handle, int ta, int tb, int m, int n, int k, const void *alpha, Address a, int at, int lda, long long sa, Address b, int bt,
                               int ldb, long long sb, const void *beta, Address c, int ct, int ldc, long long sc, int batch, int compute, int) {
    Hold hold(lock);
    if (handle != HANDLE) return refuse(not_initialized, "gemm: no such handle");
    bool single = at == f32 && bt == f32 && ct == f32 && (compute == compute_f32 || compute == compute_tf32 || compute == compute_bf16);
    bool twice = at == f64 && bt == f64 && ct == f64 && compute == compute_f64;
    if (!single && !twice) return refuse(not_supported, "gemm: types %d, %d, %d computed as %d", at, bt, ct, compute);
    if (m < 0 || n < 0 || k < 0 || batch < 0) return refuse(invalid_value, "gemm: m %d, n %d, k %d, %d times", m, n, k, batch);
    Matrix A{a, at, ta ? k : m, ta ? m : k, lda, sa}, B{b, bt, tb ? n : k, tb ? k : n, ldb, sb}, C{c, ct, m, n, ldc, sc};
    for (auto *x : {&A, &B, &C})
        if (x->stride < std::max(1, x->rows)) return refuse(invalid_value, "gemm: a leading dimension of %d for %d rows", x->stride, x->rows);
    counters.launches++;
    counters.by_kernel["gemm"]++;
    if (!m || !n || !batch) return success;
    size_t size = single ? 4 : 8;
    if (k) check_range("gemm, first factor", a, extent(A, batch) * size), check_range("gemm, second factor", b, extent(B, batch) * size);
    check_range("gemm, product", c, extent(C, batch) * size);
    settle(stream_of_handle);
    if (settings.counting) return success;
    auto run = [&](auto type) {
        using T = decltype(type);
        for (int p = 0; p < batch; p++)
            multiply<T>(ta, tb, m, n, k, *static_cast<const T *>(alpha), reinterpret_cast<const T *>(a) + sa * p, lda, reinterpret_cast<const T *>(b) + sb * p,
                        ldb, *static_cast<const T *>(beta), reinterpret_cast<T *>(c) + sc * p, ldc, compute);
    };
    if (single) run(0.f);
    else run(0.);
    return success;
}
// What the safe functions of cudarc call.
int cublasSgemmStridedBatched(void *handle, int ta, int tb, int m, int n, int k, const float *alpha, Address a, int lda, long long sa, Address b, int ldb,
                              long long sb, const float *beta, Address c, int ldc, long long sc, int batch) {
    return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, a, f32, lda, sa, b, f32, ldb, sb, beta, c, f32, ldc, sc, batch, compute_f32, 0);
}
int cublasDgemmStridedBatched(void *handle, int ta, int tb, int m, int n, int k, const double *alpha, Address a, int lda, long long sa, Address b, int ldb,
                              long long sb, const double *beta, Address c, int ldc, long long sc, int batch) {
    return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, a, f64, lda, sa, b, f64, ldb, sb, beta, c, f64, ldc, sc, batch, compute_f64, 0);
}

} // extern "C"
} // namespace emu
