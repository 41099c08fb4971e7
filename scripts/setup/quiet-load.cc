// Loads libtensorflow_framework without the two lines that it prints while it is loaded, before any setting is read
// ("All log messages before absl::InitializeLog() ...", "oneDNN custom operations are on ..."), in every process that
// uses it. quietLoad(path, level): standard error goes to /dev/null during dlopen alone; then the logger's threshold is
// set (0 info, 1 warning, 2 error). A library that cannot be loaded is left to the binding, whose error says why.
#include <dlfcn.h>
#include <fcntl.h>
#include <node_api.h>
#include <unistd.h>

#include <string>

namespace {

// absl::SetMinLogLevel of the pinned TensorFlow; with another one it is not found, and the logger stays as it is.
constexpr char kSetMinLogLevel[] = "_ZN4absl12lts_2025081414SetMinLogLevelENS0_18LogSeverityAtLeastE";

void LoadSilently(const std::string& path, int level) {
  const int saved = dup(STDERR_FILENO);
  const int null_device = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (saved >= 0 && null_device >= 0) dup2(null_device, STDERR_FILENO);
  void* library = dlopen(path.c_str(), RTLD_LAZY | RTLD_GLOBAL);
  if (saved >= 0) dup2(saved, STDERR_FILENO);
  if (saved >= 0) close(saved);
  if (null_device >= 0) close(null_device);
  if (library == nullptr) return;
  auto set_level = reinterpret_cast<void (*)(int)>(dlsym(library, kSetMinLogLevel));
  if (set_level != nullptr) set_level(level);
}

napi_value QuietLoad(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  size_t length = 0;
  int32_t level = 0;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok || count < 2 ||
      napi_get_value_string_utf8(env, arguments[0], nullptr, 0, &length) != napi_ok ||
      napi_get_value_int32(env, arguments[1], &level) != napi_ok) {
    napi_throw_type_error(env, nullptr, "quietLoad(path, level)");
    return nullptr;
  }
  std::string path(length + 1, '\0');
  napi_get_value_string_utf8(env, arguments[0], path.data(), path.size(), &length);
  path.resize(length);
  LoadSilently(path, level);
  return nullptr;
}

}  // namespace

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "quietLoad", NAPI_AUTO_LENGTH, QuietLoad, nullptr, &function);
  napi_set_named_property(env, exports, "quietLoad", function);
  return exports;
}
