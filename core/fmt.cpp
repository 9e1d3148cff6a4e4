// fmt's functions, compiled into whatever of ours uses them and hidden there: a host may bring a
// fmt of its own, and the loader knows one function of a name. (Debian has no archive of fmt;
// headers alone, FMT_HEADER_ONLY, would make the build a third longer.)
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {

// What the headers declare as made elsewhere.
template auto thousands_sep_impl<char>(locale_ref) -> thousands_sep_result<char>;
template auto decimal_point_impl(locale_ref) -> char;
template locale_ref::locale_ref(const std::locale& loc);
template auto locale_ref::get<std::locale>() const -> std::locale;

}  // namespace detail
FMT_END_NAMESPACE
