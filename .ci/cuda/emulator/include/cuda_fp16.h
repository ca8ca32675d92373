#pragma once
struct __half {
    _Float16 value;
    __half() = default;
    __half(float x) : value(static_cast<_Float16>(x)) {}
    operator float() const { return static_cast<float>(value); }
};
inline float __half2float(__half x) { return x; }
inline __half __float2half(float x) { return x; }
