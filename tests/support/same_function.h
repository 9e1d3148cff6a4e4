// For tests that hold function types of our own against those of a header.
#pragma once

#include <type_traits>

namespace grkan {

template <class A, class B>
constexpr bool same_parameter() {
  if constexpr (std::is_pointer_v<A> && std::is_pointer_v<B>) return true;
  return sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B> &&
         std::is_floating_point_v<A> == std::is_floating_point_v<B>;
}

template <class A, class B>
constexpr bool same_result() {
  if constexpr (std::is_void_v<A> || std::is_void_v<B>) {
    return std::is_void_v<A> && std::is_void_v<B>;
  } else {
    return sizeof(A) == sizeof(B);
  }
}

// Two functions go together when they take as many parameters, each of the same size and kind.
template <class A, class B>
struct SameFunction : std::false_type {};
template <class R, class... A, class S, class... B>
  requires(same_result<R, S>() && sizeof...(A) == sizeof...(B))
struct SameFunction<R (*)(A...), S (*)(B...)>
    : std::bool_constant<(same_parameter<A, B>() && ...)> {};

}  // namespace grkan
