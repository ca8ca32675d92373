// libcudnn: the convolutions of its older interface, by plain loops, f32 and bf16. One algorithm per pass is known to be
// deterministic and to take any shape; the others are refused, but for those that add by atomics, which are counted.
#include "rounding.h"
#include "state.h"
#include <climits>
#include <cmath>
#include <cstring>
#include <set>
#include <vector>

namespace emu {
namespace {

enum Status {
    success = 0,
    not_initialized = 1001,
    bad_param = 2000,
    null_pointer = 2002,
    misaligned = 2003,
    too_small = 2006,
    stream_mismatch = 2007,
    not_supported = 3000,
};
enum Type { f32 = 0, f64 = 1, bf16 = 9 };
enum Math { default_math = 0, tensor_op = 1, tensor_op_converted = 2, fma = 3 };

struct Handle { void *stream = nullptr; };
// Sides of a tensor or a filter in NCHW.
struct Sides {
    int type = -1, n = 0, c = 0, h = 0, w = 0;
    size_t values() const { return size_t(n) * c * h * w; }
    size_t bytes() const { return values() * (type == bf16 ? 2 : 4); }
};
struct Tensor : Sides {};
struct Filter : Sides {};
struct Convolution { int pad_h = -1, pad_w, stride_h, stride_w, mode, type, math = default_math, groups = 1; };

// Who was made and not destroyed.
template <class T> std::set<const void *> &live() {
    static std::set<const void *> all;
    return all;
}
template <class T> int make(T **made) {
    Hold hold(lock);
    if (!made) return refuse(null_pointer, "cuDNN: no room for a descriptor");
    *made = new T;
    live<T>().insert(*made);
    return success;
}
template <class T> int destroy(T *made) {
    Hold hold(lock);
    if (!live<T>().erase(made)) return refuse(bad_param, "cuDNN: no such descriptor");
    delete made;
    return success;
}
template <class T> bool lives(const T *it) { return live<T>().count(it); }

int set_sides(Sides *to, int type, int format, int n, int c, int h, int w) {
    if (format != 0) return refuse(format == 1 ? not_supported : bad_param, "cuDNN: the emulated device has NCHW only");
    if (type != f32 && type != bf16) return refuse(type == f64 ? not_supported : bad_param, "cuDNN: data type %d", type);
    if (n <= 0 || c <= 0 || h <= 0 || w <= 0) return refuse(bad_param, "cuDNN: sides %d, %d, %d, %d", n, c, h, w);
    Sides made{type, n, c, h, w};
    if (made.values() > INT_MAX) return refuse(not_supported, "cuDNN: %zu values in a tensor; it may have 2^31 - 1", made.values());
    *to = made;
    return success;
}

// --- values as products are computed of
std::vector<float> read(const void *at, const Sides &s, int math) {
    std::vector<float> values(s.values());
    if (s.type == bf16) {
        auto *from = static_cast<const uint16_t *>(at);
        for (size_t i = 0; i < values.size(); i++) values[i] = of_bf16(from[i]);
    } else {
        memcpy(values.data(), at, s.bytes());
        if (math == tensor_op_converted) for (float &x : values) x = float(static_cast<_Float16>(x));
        else if (math != fma) for (float &x : values) x = rounded_to_tf32(x);
    }
    return values;
}
void write(void *to, const Sides &s, const std::vector<float> &sums, float alpha, float beta) {
    for (size_t i = 0; i < sums.size(); i++) {
        auto *wide = static_cast<float *>(to) + i;
        auto *narrow = static_cast<uint16_t *>(to) + i;
        float before = 0; // with a beta of 0 what is there is not read
        if (beta != 0 && s.type == f32) before = *wide;
        if (beta != 0 && s.type == bf16) before = of_bf16(*narrow);
        float value = alpha * sums[i];
        if (beta != 0) value += beta * before;
        if (s.type == f32) *wide = value;
        else *narrow = rounded_to_bf16(value);
    }
}

// --- the three passes, given how they are divided: f gets a row of x, a weight and a row of y, which meet at count places
struct Case {
    const Sides &x, &w, &y;
    const Convolution &by;
    template <class F> void rows(F f) const {
        const int each = y.c / by.groups;
        for (int b = 0; b < y.n; b++)
            for (int o = 0; o < y.c; o++)
                for (int k = 0; k < w.c; k++)
                    for (int u = 0; u < w.h; u++)
                        for (int v = 0; v < w.w; v++)
                            for (int i = 0; i < y.h; i++) {
                                const int row = i * by.stride_h + u - by.pad_h, s = by.stride_w;
                                if (row < 0 || row >= x.h) continue;
                                const int first = v >= by.pad_w ? 0 : (by.pad_w - v + s - 1) / s, left = first * s + v - by.pad_w;
                                const int count = left >= x.w ? 0 : std::min((x.w - left + s - 1) / s, y.w - first);
                                if (count <= 0) continue;
                                f(((size_t(b) * x.c + o / each * w.c + k) * x.h + row) * x.w + left, ((size_t(o) * w.c + k) * w.h + u) * w.w + v,
                                  ((size_t(b) * y.c + o) * y.h + i) * y.w + first, count, s);
                            }
    }
};
std::vector<float> forward(const Case &c, const float *x, const float *w) {
    std::vector<float> y(c.y.values());
    c.rows([&](size_t at_x, size_t at_w, size_t at_y, int n, int s) {
        for (int j = 0; j < n; j++) y[at_y + j] += w[at_w] * x[at_x + size_t(j) * s];
    });
    // Taps outside of the map multiply zeros, which is NaN for a weight that is not finite.
    for (size_t i = 0; i < c.w.values(); i++) {
        if (std::isfinite(w[i])) continue;
        const int o = i / (size_t(c.w.c) * c.w.h * c.w.w), u = i / c.w.w % c.w.h, v = i % c.w.w;
        for (int b = 0; b < c.y.n; b++)
            for (int row = 0; row < c.y.h; row++)
                for (int column = 0; column < c.y.w; column++) {
                    const int h = row * c.by.stride_h + u - c.by.pad_h, l = column * c.by.stride_w + v - c.by.pad_w;
                    if (h < 0 || h >= c.x.h || l < 0 || l >= c.x.w) y[((size_t(b) * c.y.c + o) * c.y.h + row) * c.y.w + column] += w[i] * 0;
                }
    }
    return y;
}
std::vector<float> backward_data(const Case &c, const float *w, const float *dy) {
    std::vector<float> dx(c.x.values());
    c.rows([&](size_t at_x, size_t at_w, size_t at_y, int n, int s) {
        for (int j = 0; j < n; j++) dx[at_x + size_t(j) * s] += w[at_w] * dy[at_y + j];
    });
    return dx;
}
std::vector<float> backward_filter(const Case &c, const float *x, const float *dy) {
    std::vector<double> sums(c.w.values());
    c.rows([&](size_t at_x, size_t at_w, size_t at_y, int n, int s) {
        double sum = 0;
        for (int j = 0; j < n; j++) sum += double(x[at_x + size_t(j) * s]) * dy[at_y + j];
        sums[at_w] += sum;
    });
    return {sums.begin(), sums.end()};
}

// --- what a call is checked for
enum Pass { FORWARD, DATA, FILTER };
const char *const NAMES[] = {"cudnn forward", "cudnn backward data", "cudnn backward filter"};

// The algorithms whose sums come in another order each time.
bool by_atomics(Pass pass, int algorithm) { return (pass == DATA && algorithm == 0) || (pass == FILTER && (algorithm == 0 || algorithm == 3)); }

int check_descriptors(Pass pass, const Handle *handle, const Tensor *x, const Filter *w, const Convolution *by, const Tensor *y, int algorithm) {
    const char *name = NAMES[pass];
    if (!handle || !x || !w || !by || !y) return refuse(null_pointer, "%s: no handle or no descriptor", name);
    if (!lives(handle)) return refuse(not_initialized, "%s: no such handle", name);
    if (!lives(x) || !lives(w) || !lives(by) || !lives(y)) return refuse(bad_param, "%s: a descriptor that was never made, or is destroyed", name);
    if (x->type < 0 || w->type < 0 || y->type < 0 || by->pad_h < 0) return refuse(bad_param, "%s: a descriptor that was not set", name);
    if (x->type != w->type || x->type != y->type) return refuse(bad_param, "%s: types %d, %d and %d", name, x->type, w->type, y->type);
    if (by->type != f32) return refuse(not_supported, "%s: computed in type %d", name, by->type);
    if (x->c % by->groups || w->n % by->groups) return refuse(bad_param, "%s: %d and %d channels in %d groups", name, x->c, w->n, by->groups);
    if (x->c != w->c * by->groups) return refuse(bad_param, "%s: %d channels, the filter is for %d", name, x->c, w->c * by->groups);
    if (w->h > x->h + 2 * by->pad_h || w->w > x->w + 2 * by->pad_w) return refuse(bad_param, "%s: the filter is larger than the padded map", name);
    const int h = (x->h + 2 * by->pad_h - w->h) / by->stride_h + 1, width = (x->w + 2 * by->pad_w - w->w) / by->stride_w + 1;
    if (y->n != x->n || y->c != w->n || y->h != h || y->w != width)
        return refuse(not_supported, "%s: a result of %d, %d, %d, %d; it is %d, %d, %d, %d", name, y->n, y->c, y->h, y->w, x->n, w->n, h, width);
    if (algorithm != 1 && !by_atomics(pass, algorithm)) return refuse(not_supported, "%s: algorithm %d for these descriptors", name, algorithm);
    return success;
}

// Enough that a workspace of another geometry or pass is too small, and never nothing.
size_t workspace(Pass pass, const Sides &x, const Sides &w, const Sides &y) {
    const size_t values = pass == FORWARD ? size_t(w.c) * w.h * w.w : pass == DATA ? size_t(x.h) * x.w + w.n : w.values() + y.h;
    return (values * 4 / 256 + 1) * 256;
}

int query(Pass pass, const Handle *handle, const Tensor *x, const Filter *w, const Convolution *by, const Tensor *y, int algorithm, size_t *bytes) {
    Hold hold(lock);
    if (int error = check_descriptors(pass, handle, x, w, by, y, algorithm)) return error;
    *bytes = workspace(pass, *x, *w, *y);
    return success;
}

bool overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes) {
    auto at = [](const void *p) { return reinterpret_cast<Address>(p); };
    return at(a) < at(b) + b_bytes && at(b) < at(a) + a_bytes;
}

int convolve(Pass pass, Handle *handle, const float *alpha, const Tensor *xd, const void *x, const Filter *wd, const void *w, const Convolution *by,
             int algorithm, void *space, size_t bytes, const float *beta, const Tensor *yd, const void *y) {
    Hold hold(lock);
    const char *name = NAMES[pass];
    if (int error = check_descriptors(pass, handle, xd, wd, by, yd, algorithm)) return error;
    if (!alpha || !beta || !x || !w || !y) return refuse(null_pointer, "%s: no values", name);
    if (!is_stream(handle->stream)) return refuse(stream_mismatch, "%s: the handle's stream is destroyed", name);
    for (const void *at : {x, w, y, static_cast<const void *>(space)})
        if (reinterpret_cast<uintptr_t>(at) % 16) return refuse(misaligned, "%s: a pointer is not aligned to 16 bytes", name);
    const size_t wanted = workspace(pass, *xd, *wd, *yd);
    if (!space || bytes < wanted) return refuse(too_small, "%s: a workspace of %zu bytes, it needs %zu", name, space ? bytes : 0, wanted);
    struct { const char *what; const void *at; size_t bytes; } all[] = {
        {"map", x, xd->bytes()}, {"filter", w, wd->bytes()}, {"result", y, yd->bytes()}, {"workspace", space, bytes}};
    for (auto &one : all) check_range((std::string(name) + ", " + one.what).c_str(), reinterpret_cast<Address>(one.at), one.bytes);
    for (auto &one : all)
        for (auto &other : all)
            if (&one < &other && overlap(one.at, one.bytes, other.at, other.bytes)) wrong("%s: %s and %s overlap", name, one.what, other.what);
    settle(handle->stream);
    counters.launches++;
    counters.float_atomics += by_atomics(pass, algorithm);
    counters.by_kernel[name]++;
    counters.by_stream[handle->stream]++;
    is_workspace(reinterpret_cast<Address>(space));
    if (settings.counting) return success;
    memset(space, 0xff, bytes); // nobody may rely on what it held
    const Case c{*xd, *wd, *yd, *by};
    if (pass == FORWARD)
        write(const_cast<void *>(y), *yd, forward(c, read(x, *xd, by->math).data(), read(w, *wd, by->math).data()), *alpha, *beta);
    else if (pass == DATA)
        write(const_cast<void *>(x), *xd, backward_data(c, read(w, *wd, by->math).data(), read(y, *yd, by->math).data()), *alpha, *beta);
    else
        write(const_cast<void *>(w), *wd, backward_filter(c, read(x, *xd, by->math).data(), read(y, *yd, by->math).data()), *alpha, *beta);
    return success;
}

} // namespace

extern "C" {

size_t cudnnGetVersion() { return 91300; }
const char *cudnnGetErrorString(int status) {
    switch (status) {
    case success: return "CUDNN_STATUS_SUCCESS";
    case not_initialized: return "CUDNN_STATUS_NOT_INITIALIZED";
    case not_supported: return "CUDNN_STATUS_NOT_SUPPORTED";
    default: return "CUDNN_STATUS_BAD_PARAM";
    }
}
int cudnnCreate(Handle **handle) {
    Hold hold(lock);
    if (!in_context()) return refuse(not_initialized, "cudnnCreate: this thread has no current context");
    return make(handle);
}
int cudnnDestroy(Handle *handle) { return destroy(handle); }
int cudnnSetStream(Handle *handle, void *stream) {
    Hold hold(lock);
    if (!lives(handle)) return refuse(bad_param, "cudnnSetStream: no such handle");
    if (!is_stream(stream)) return refuse(stream_mismatch, "cudnnSetStream: no such stream");
    handle->stream = stream;
    return success;
}
int cudnnCreateTensorDescriptor(Tensor **made) { return make(made); }
int cudnnDestroyTensorDescriptor(Tensor *made) { return destroy(made); }
int cudnnSetTensor4dDescriptor(Tensor *to, int format, int type, int n, int c, int h, int w) {
    Hold hold(lock);
    if (!lives(to)) return refuse(bad_param, "cudnnSetTensor4dDescriptor: no such descriptor");
    return set_sides(to, type, format, n, c, h, w);
}
int cudnnCreateFilterDescriptor(Filter **made) { return make(made); }
int cudnnDestroyFilterDescriptor(Filter *made) { return destroy(made); }
int cudnnSetFilter4dDescriptor(Filter *to, int type, int format, int k, int c, int h, int w) {
    Hold hold(lock);
    if (!lives(to)) return refuse(bad_param, "cudnnSetFilter4dDescriptor: no such descriptor");
    return set_sides(to, type, format, k, c, h, w);
}
int cudnnCreateConvolutionDescriptor(Convolution **made) { return make(made); }
int cudnnDestroyConvolutionDescriptor(Convolution *made) { return destroy(made); }
int cudnnSetConvolution2dDescriptor(Convolution *to, int pad_h, int pad_w, int stride_h, int stride_w, int dilation_h, int dilation_w, int mode, int type) {
    Hold hold(lock);
    if (!lives(to)) return refuse(bad_param, "cudnnSetConvolution2dDescriptor: no such descriptor");
    if (pad_h < 0 || pad_w < 0 || stride_h <= 0 || stride_w <= 0 || dilation_h <= 0 || dilation_w <= 0 || mode < 0 || mode > 1)
        return refuse(bad_param, "cudnnSetConvolution2dDescriptor: padding %d, %d, strides %d, %d, mode %d", pad_h, pad_w, stride_h, stride_w, mode);
    if (mode != 1 || dilation_h != 1 || dilation_w != 1) return refuse(not_supported, "the emulated device has cross-correlation without dilation");
    to->pad_h = pad_h, to->pad_w = pad_w, to->stride_h = stride_h, to->stride_w = stride_w, to->mode = mode, to->type = type;
    return success;
}
int cudnnSetConvolutionMathType(Convolution *to, int math) {
    Hold hold(lock);
    if (!lives(to) || math < default_math || math > fma) return refuse(bad_param, "cudnnSetConvolutionMathType: %d", math);
    to->math = math;
    return success;
}
int cudnnSetConvolutionGroupCount(Convolution *to, int groups) {
    Hold hold(lock);
    if (!lives(to) || groups < 1) return refuse(bad_param, "cudnnSetConvolutionGroupCount: %d", groups);
    to->groups = groups;
    return success;
}
int cudnnGetConvolutionForwardWorkspaceSize(Handle *handle, Tensor *x, Filter *w, Convolution *by, Tensor *y, int algorithm, size_t *bytes) {
    return query(FORWARD, handle, x, w, by, y, algorithm, bytes);
}
int cudnnGetConvolutionBackwardDataWorkspaceSize(Handle *handle, Filter *w, Tensor *dy, Convolution *by, Tensor *dx, int algorithm, size_t *bytes) {
    return query(DATA, handle, dx, w, by, dy, algorithm, bytes);
}
int cudnnGetConvolutionBackwardFilterWorkspaceSize(Handle *handle, Tensor *x, Tensor *dy, Convolution *by, Filter *dw, int algorithm, size_t *bytes) {
    return query(FILTER, handle, x, dw, by, dy, algorithm, bytes);
}
int cudnnConvolutionForward(Handle *handle, const float *alpha, Tensor *xd, const void *x, Filter *wd, const void *w, Convolution *by, int algorithm,
                            void *space, size_t bytes, const float *beta, Tensor *yd, void *y) {
    return convolve(FORWARD, handle, alpha, xd, x, wd, w, by, algorithm, space, bytes, beta, yd, y);
}
int cudnnConvolutionBackwardData(Handle *handle, const float *alpha, Filter *wd, const void *w, Tensor *yd, const void *dy, Convolution *by, int algorithm,
                                 void *space, size_t bytes, const float *beta, Tensor *xd, void *dx) {
    return convolve(DATA, handle, alpha, xd, dx, wd, w, by, algorithm, space, bytes, beta, yd, dy);
}
int cudnnConvolutionBackwardFilter(Handle *handle, const float *alpha, Tensor *xd, const void *x, Tensor *yd, const void *dy, Convolution *by, int algorithm,
                                   void *space, size_t bytes, const float *beta, Filter *wd, void *dw) {
    return convolve(FILTER, handle, alpha, xd, x, wd, dw, by, algorithm, space, bytes, beta, yd, dy);
}

} // extern "C"
} // namespace emu
