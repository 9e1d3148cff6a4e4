
// An example of a launch: compile with `nvcc -fmad=false $file -o example`, then run ./example.
#include <cstdio>
#include <vector>

namespace {

constexpr long long kExampleRows = $rows;
constexpr long long kExampleInner = $inner;
constexpr long long kExampleChannels = $channels;
constexpr long long kExampleElements = kExampleRows * kExampleChannels * kExampleInner;

bool failed(cudaError_t error, const char* what) {
  if (error != cudaSuccess) std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  return error != cudaSuccess;
}

// Device memory that holds `count` copies of a value.
template <class T>
T* device_array(long long count, T value) {
  const std::vector<T> host(count, value);
  T* device = nullptr;
  if (failed(cudaMalloc(&device, count * sizeof(T)), "cudaMalloc")) return nullptr;
  failed(cudaMemcpy(device, host.data(), count * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy");
  return device;
}

}  // namespace

int main() {
  CudaCall call = {};
  call.rows = kExampleRows;
  call.width = kExampleChannels / kSegments * kExampleInner;
  call.x_stride = kExampleChannels * kExampleInner * sizeof($x_storage);
  call.dy_stride = kExampleChannels * kExampleInner * sizeof($y_storage);
  call.out_stride = kExampleChannels * kExampleInner * sizeof($out_storage);
  call.row_blocks = $grid_y;
  call.group_step = $grid_y * kTileRows;
  call.groups = kExampleRows / kRows;
  call.x_step = call.x_stride * call.group_step * kRows;
  call.dy_step = call.dy_stride * call.group_step * kRows;
  call.out_step = call.out_stride * call.group_step * kRows;
  call.x = device_array<$x_storage>(kExampleElements, $x_one);
  call.a = device_array<$coefficient>(kSegments / kSegmentsPerA * kTermsA, $half);
//@if b
  call.b = device_array<$coefficient>(kSegments / kSegmentsPerB * kTermsB, $quarter);
//@end
//@if backward
  call.dy = device_array<$y_storage>(kExampleElements, $y_one);
//@end
//@if out
  call.out = device_array<$out_storage>(kExampleElements, 0);
//@end
//@if sums
//@if !blockatomics
  char* workspace = device_array<char>($workspace_bytes, 0);
  call.partial = reinterpret_cast<double*>(workspace);
//@end
//@if lastblock
  call.tile_sums = reinterpret_cast<double*>(workspace + $tile_sums_offset);
  call.counters = reinterpret_cast<unsigned*>(workspace + $counters_offset);
//@end
//@end
//@if da
  call.da = device_array<$coefficient>(kSegments / kSegmentsPerA * kTermsA, 0);
//@end
//@if db
  call.db = device_array<$coefficient>(kSegments / kSegmentsPerB * kTermsB, 0);
//@end
  $symbol<<<dim3($grid_x, $grid_y), kThreads>>>(call);
//@if second_pass
  ${symbol}_second_pass<<<$second_blocks, kSecondThreads>>>(call);
//@end
  if (failed(cudaGetLastError(), "launch")) return 1;
  if (failed(cudaDeviceSynchronize(), "run")) return 1;
//@if out
  $out_storage first = 0;
  if (failed(cudaMemcpy(&first, call.out, sizeof first, cudaMemcpyDeviceToHost), "copy")) return 1;
  std::printf("first element (its bits for 16-bit types): %g\n", static_cast<double>(first));
//@end
//@if da
  $coefficient first_da = 0;
  if (failed(cudaMemcpy(&first_da, call.da, sizeof first_da, cudaMemcpyDeviceToHost), "copy")) {
    return 1;
  }
  std::printf("first coefficient gradient (its bits for 16-bit types): %g\n", static_cast<double>(first_da));
//@end
  return 0;
}
