# Made by grkan $version. What kernel-builder's Nix commands start from.
{
  description = "$name: the activation of GR-KAN layers";

  inputs.kernel-builder.url = "github:huggingface/kernels";

  outputs =
    { self, kernel-builder }:
    kernel-builder.lib.genKernelFlakeOutputs {
      path = ./.;
      inherit self;
    };
}
