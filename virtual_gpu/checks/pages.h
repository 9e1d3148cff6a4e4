// Zeroed memory of the host that costs nothing until it is touched.
#pragma once

#include <cstddef>

namespace grkan::vgpu {

// Whole pages; null where the host has no room. unmap_pages() takes null too.
void* map_pages(std::size_t bytes);
void unmap_pages(void* data, std::size_t bytes);

// An array of `count` zeroed elements of a type that may begin as zeros.
template <class T>
class Pages {
 public:
  Pages() = default;
  // Throws out_of_memory.
  explicit Pages(std::size_t count);
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { unmap_pages(data_, count_ * sizeof(T)); }

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return count_; }
  T& operator[](std::size_t n) const { return data_[n]; }

 private:
  T* data_ = nullptr;
  std::size_t count_ = 0;
};

[[noreturn]] void fail_pages(std::size_t bytes);

template <class T>
Pages<T>::Pages(std::size_t count)
    : data_(static_cast<T*>(map_pages(count * sizeof(T)))), count_(count) {
  if (data_ == nullptr) fail_pages(count * sizeof(T));
}

}  // namespace grkan::vgpu
