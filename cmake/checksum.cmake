# check_sha256(FILE ELSE): fails unless FILE has the SHA-256 that FILE.sha256 says; ELSE: how both may be made anew.
function(check_sha256 file else)
  file(READ ${file}.sha256 expected)
  string(REGEX MATCH "^[0-9a-f]+" expected "${expected}")
  file(SHA256 ${file} found)
  if(NOT found STREQUAL expected)
    message(FATAL_ERROR "${file} has the SHA-256 ${found}, but the file beside it says '${expected}'; "
                        "check both out again, or ${else}")
  endif()
endfunction()
