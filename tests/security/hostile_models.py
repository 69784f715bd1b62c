"""Model files that would run code if a loader trusted them. The code leaves a marker, no more."""

from __future__ import annotations

import base64
import json
import marshal
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..sources.model_files import (
    called,
    conv,
    conv_weights,
    functional,
    image_input,
    write_h5,
    write_keras,
)

MODULE = "segdoctor_hostile_module"  # importing it leaves the marker as well
Config = dict[str, Any]


def evil_module(folder: Path, marker: Path) -> None:
    """A module that leaves the marker when it is imported, and has everything one could ask for."""
    names = "Layer", "Thing", "function", "loss", "Model"
    lines = [f"open({str(marker)!r}, 'a').write('imported ')"]
    lines += [f"def {name}(*a, **k): open({str(marker)!r}, 'a').write('{name} ')" for name in names]
    (folder / f"{MODULE}.py").write_text("\n".join(lines))


def bytecode(marker: Path) -> str:
    space: dict[str, Any] = {}
    exec(f"def evil(x):\n    open({str(marker)!r}, 'a').write('ran ')\n    return x", space)
    return base64.b64encode(marshal.dumps(space["evil"].__code__)).decode()


def foreign(name: str, module: str = MODULE, /, **config: Any) -> Config:
    found = {"module": module, "class_name": name, "config": config, "registered_name": None}
    return {**found, "name": config.get("name", "foreign")}


def function(name: str, module: str = MODULE) -> Config:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def lambdas(code: str) -> dict[str, Config]:
    """A Lambda in every way that a version of Keras has written it."""
    parts = [code, None, None]
    inner = {"code": code, "defaults": None, "closure": None}
    config: dict[str, Config] = {
        "keras 2": {"function": parts, "function_type": "lambda"},
        "tf.keras": {
            "function": {"class_name": "__tuple__", "items": parts}, "function_type": "lambda",
        },
        "keras 3": {"function": {"class_name": "__lambda__", "config": inner}},
        "keras 1": {
            "function": [base64.b64decode(code).decode("latin-1"), None, None],
            "function_type": "lambda",
        },
        "code alone": {"function": code, "function_type": "lambda"},
        "output shape": {
            "function": "relu", "function_type": "function",
            "output_shape": parts, "output_shape_type": "lambda",
        },
        "mask": {"function": parts, "mask": {"class_name": "__lambda__", "config": inner}},
        "raw": {"function": parts, "function_type": "raw_lambda"},
    }  # fmt: skip
    return {
        name: {"class_name": "Lambda", "name": "lam", "config": {"name": "lam", **settings}}
        for name, settings in config.items()
    }


def layers(code: str) -> dict[str, Config]:
    """One hostile layer each."""
    lams = lambdas(code)
    lam = lams["keras 3"]
    inner = {"code": code, "defaults": None, "closure": None}
    lambda_object = {"class_name": "__lambda__", "config": inner}
    packed = base64.b64encode(pickle.dumps(print)).decode()
    keras = "keras.layers"
    return {
        **{f"lambda of {name}": layer for name, layer in lams.items()},
        "lambda as an activation": conv(activation=lambda_object),
        "lambda layer as an activation": conv(activation=lam),
        "lambda as an initializer": conv(kernel_initializer=lambda_object),
        "merge of keras 1": {
            "class_name": "Merge", "name": "m",
            "config": {"name": "m", "mode": [code, None, None], "mode_type": "lambda"},
        },
        "nested": {**functional(image_input("x"), lam, name="inner"), "name": "inner"},
        "nested twice": {
            **functional(
                image_input("z"),
                {**functional(image_input("x"), lam, name="inner"), "name": "inner"}, name="outer",
            ),
            "name": "outer",
        },
        "wrapped": {"class_name": "TimeDistributed", "name": "td",
                    "config": {"name": "td", "layer": lams["keras 2"]}},
        "wrapped backwards": {"class_name": "Bidirectional", "name": "b",
                              "config": {"name": "b", "layer": conv(), "backward_layer": lam}},
        "cell": {"class_name": "RNN", "name": "r", "config": {"name": "r", "cell": lam}},
        "foreign layer": foreign("Layer"),
        "foreign layer of a stock name": foreign("Conv2D"),
        "foreign lambda": foreign("Lambda"),
        "foreign submodule": foreign("Layer", f"{MODULE}.sub"),
        "keras in front": foreign("Layer", f"keras_{MODULE}"),
        "a module of keras that is none": foreign("get_file", "keras.utils", origin="file:///x"),
        "keras' serialization": foreign("deserialize_keras_object", "keras.saving"),
        "keras' source": foreign("Popen", "keras.src.backend.common.subprocess"),
        "registered name": {**foreign("Conv2D", keras), "registered_name": f"{MODULE}>Layer"},
        "os.system": conv(activation=function("system", "os")),
        "builtins.exec": conv(activation=function("exec", "builtins")),
        "builtins.eval as a class": foreign("eval", "builtins"),
        "pickle.loads": conv(activation=function("loads", "pickle")),
        "initializer": conv(kernel_initializer=foreign("Thing")),
        "bias initializer": conv(bias_initializer=foreign("Thing")),
        "regularizer": conv(kernel_regularizer=foreign("Thing")),
        "activity regularizer": conv(activity_regularizer=foreign("Thing")),
        "constraint": conv(bias_constraint=foreign("Popen", "subprocess", args="true")),
        "dtype": conv(dtype=foreign("DTypePolicy")),
        "dtype's own part": conv(dtype={
            "module": "keras", "class_name": "DTypePolicy",
            "config": {"name": "float32", "source_name": foreign("Thing")},
        }),
        "call argument": called(conv(), "image", y=foreign("Thing")),
        "input's shape": {**image_input("second"), "config": {
            "name": "second", "batch_shape": foreign("Thing")}},
        "type spec": conv(dtype={"class_name": "__typespec__", "module": MODULE, "config": []}),
        "SavedModel layer": {"class_name": "TFSMLayer", "name": "t",
                             "config": {"name": "t", "filepath": "saved"}},
        "torch pickle": foreign("TorchModuleWrapper", keras, module=packed),
        "jax layer": foreign("JaxLayer", keras, call_fn=function("function")),
        "flax layer": foreign("FlaxLayer", keras, module=foreign("Thing")),
        "vocabulary file": foreign("StringLookup", keras, vocabulary="/etc/passwd"),
        "text vocabulary": foreign("TextVectorization", keras, vocabulary="/etc/passwd"),
        "hashing": foreign("Hashing", keras, num_bins=3),
        "tensorflow operation": {"class_name": "TFOpLambda", "name": "t",
                                 "config": {"name": "t", "function": "io.write_file"}},
        "py_function": {"class_name": "TFOpLambda", "name": "t",
                        "config": {"name": "t", "function": "py_function"}},
        "class method": {"class_name": "ClassMethod", "name": "t",
                         "config": {"name": "t", "cls": MODULE}},
        "a class name that is no name": {"class_name": ["Lambda"], "name": "x", "config": lam},
        "a module that is no name": {"class_name": "Conv2D", "module": {"a": 1}, "config": {}},
        "dunder": foreign("__import__", "builtins"),
        **wrapped(lam, lambda_object),
        **references(lambda_object),
    }  # fmt: skip


def layer(kind: str, **config: Any) -> Config:
    return {"module": "keras.layers", "class_name": kind, "config": {"name": "x", **config}}


def sequential(*inside: Config) -> Config:
    config = {"name": "inside", "layers": [*inside]}
    return {"module": "keras", "class_name": "Sequential", "name": "inside", "config": config}


def wrapped(lam: Config, lambda_object: Config) -> dict[str, Config]:
    """Inside other layers."""
    inner = {**functional(image_input("x"), lam, name="inner"), "name": "inner"}
    net = functional(image_input("x"), conv("y"), name="inner")
    return {
        "nested in a Sequential": sequential(lam),
        "nested in a functional in a Sequential": sequential(inner),
        "wrapped with a Sequential": layer("TimeDistributed", layer=sequential(lam)),
        "wrapped forwards": layer("Bidirectional", layer=lam),
        "wrapped by its norm": layer("SpectralNormalization", layer=lam),
        "cell in a stack": layer("RNN", cell=layer("StackedRNNCells", cells=[foreign("Thing")])),
        "nested with compile settings": {
            **net, "name": "inner", "compile_config": {"loss": foreign("loss")}
        },
        "keras' pipeline": layer("Pipeline", layers=[lam]),
        "lambda in an Activation": layer("Activation", activation=lambda_object),
        "lambda in a call": called(conv("x"), "first", mask=lambda_object),
        "lambda among numbers": conv(strides=[1, lambda_object]),
        "lambda deep in what no one asks for": conv(_extra={"a": [{"b": [lambda_object]}]}),
        "lambda to normalise text": layer("TextVectorization", standardize=lambda_object),
        "a class name that looks like Lambda": {
            "class_name": "L\u0430mbda", "name": "x",
            "config": {"name": "x", "function": lambda_object},
        },
        "a class name in lower case": {
            "class_name": "lambda", "name": "x", "config": {"name": "x", "function": lambda_object}
        },
    }  # fmt: skip


def references(lambda_object: Config) -> dict[str, Config]:
    """Names of code that lies elsewhere."""
    return {
        "builtins.print": conv(activation=function("print", "builtins")),
        "os.system to split text": layer("TextVectorization", split=function("system", "os")),
        "builtins.getattr chain": conv(
            activation=function("Layer.__init__.__globals__", "keras.layers")
        ),
        "pickle.loads of NumPy": conv(activation=function("load", "numpy")),
        "initializer of an embedding": layer(
            "Embedding", input_dim=3, output_dim=2, embeddings_initializer=foreign("Thing")
        ),
        "initializer of attention": layer(
            "MultiHeadAttention", num_heads=1, key_dim=1, kernel_initializer=foreign("Thing")
        ),
        "slice": conv(_part={"class_name": "__slice__", "config": [foreign("Thing")]}),
        "class reference": conv(
            _part={"class_name": "__class__", "module": MODULE, "config": "Thing"}
        ),
        "a type": conv(_part={"class_name": "type", "module": "builtins", "config": "Thing"}),
        "map of dtypes": conv(dtype={
            "class_name": "DTypePolicyMap", "module": "keras.dtype_policies",
            "config": {"default_policy": foreign("Thing")},
        }),
        "build settings": {**conv(), "build_config": foreign("Thing")},
        "name that is a class": {**conv("x"), "name": {"class_name": "Lambda", "config": {}}},
        "vocabulary file of numbers": layer("IntegerLookup", vocabulary="/etc/passwd"),
        "keras' augmentation": layer("RandAugment", value_range=foreign("Thing")),
        "keras' operation Map": {
            "class_name": "Map", "module": "keras.src.ops.core", "name": "x",
            "config": {"name": "x", "f": function("function")},
        },
        "keras' custom gradient": {
            "class_name": "CustomGradient", "module": "keras.src.ops.core", "name": "x",
            "config": {"f": function("function")},
        },
        "keras' data set": foreign("PyDataset", "keras.utils"),
        "keras' callback": foreign(
            "LambdaCallback", "keras.callbacks", on_epoch_end=lambda_object
        ),
        "keras' export": foreign("ExportArchive", "keras.export"),
        "keras' feature space": foreign("FeatureSpace", "keras.utils", features={}),
        "keras' downloads": foreign("MobileNetV2", "keras.applications", weights="http://h/x"),
        "keras' imports": foreign("system", "keras.src.utils.io_utils.os"),
        "tensorflow module": foreign("Module", "tensorflow"),
    }  # fmt: skip


def compile_settings(code: str) -> dict[str, Config]:
    """Hostile compile settings of a model that is clean."""
    lam = lambdas(code)["keras 3"]
    adam = {"module": "keras.optimizers", "class_name": "Adam"}
    wrapper = {"module": "keras.metrics", "class_name": "MeanMetricWrapper"}
    scaled = {"module": "keras.optimizers", "class_name": "LossScaleOptimizer"}
    return {
        "loss": {"loss": foreign("loss")},
        "loss function": {"loss": function("loss")},
        "loss lambda": {"loss": lam},
        "metric": {"metrics": [[foreign("Thing")]]},
        "weighted metric": {"weighted_metrics": {"out": function("function")}},
        "optimizer": {"optimizer": foreign("Thing")},
        "schedule": {
            "optimizer": {
                "module": "keras.optimizers", "class_name": "Adam",
                "config": {"learning_rate": foreign("Thing")},
            }
        },
        "wrapped loss": {
            "loss": {
                "module": "keras.losses", "class_name": "LossFunctionWrapper",
                "config": {"fn": function("system", "os")},
            }
        },
        "loss in a list": {"loss": ["mse", lam]},
        "loss of an output": {"loss": {"conv": function("loss")}},
        "loss weights": {"loss": "mse", "loss_weights": lam},
        "metric function": {"metrics": [function("system", "os")]},
        "metric in a wrapper": {"metrics": [{**wrapper, "config": {"fn": function("loss")}}]},
        "schedule as a lambda": {"optimizer": {**adam, "config": {"learning_rate": lam}}},
        "optimizer in an optimizer": {
            "optimizer": {**scaled, "config": {"inner_optimizer": foreign("Thing")}}
        },
    }  # fmt: skip


def hostile_files(folder: Path, marker: Path) -> Iterator[tuple[str, Path]]:
    """Every variant, as ``.h5`` and as ``.keras``: its name and its file."""
    code = bytecode(marker)
    evil_module(folder, marker)
    for number, (name, layer) in enumerate(layers(code).items()):
        layer = {**layer, "name": layer.get("name", "hostile")}
        config = functional(image_input(), conv("first"), layer)
        yield f"{name} (h5)", write_h5(folder / f"{number}.h5", config, conv_weights("first"))
        yield f"{name} (keras)", write_keras(folder / f"{number}.keras", config)
    for number, (name, settings) in enumerate(compile_settings(code).items()):
        clean = functional(image_input(), conv())
        yield (
            f"{name} in the compile settings (h5)",
            write_h5(folder / f"c{number}.h5", clean, conv_weights(), training=settings),
        )
        yield (
            f"{name} in the compile settings (keras)",
            write_keras(folder / f"c{number}.keras", {**clean, "compile_config": settings}),
        )


def broken_files(folder: Path, marker: Path) -> Iterator[tuple[str, Path]]:
    """Files that are no model at all, or not one alone: one line and exit 2."""

    class Evil:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
            return (exec, (f"open({str(marker)!r}, 'a').write('unpickled')",))

    for protocol in (0, 2, 4):
        path = folder / f"pickle{protocol}.h5"
        path.write_bytes(pickle.dumps(Evil(), protocol))
        yield f"pickle of protocol {protocol}", path
    lam = json.dumps(lambdas(bytecode(marker))["keras 3"])
    plain = json.dumps(functional(image_input(), conv()))
    double = plain[:-1] + f', "config": {{"layers": [{lam}]}}}}'
    yield "double keys (h5)", write_h5(folder / "double.h5", double, conv_weights())
    yield "double keys (keras)", write_keras(folder / "double.keras", double)
    path = folder / "twice.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", plain)
        archive.writestr("config.jso_", lam)
    path.write_bytes(path.read_bytes().replace(b"config.jso_", b"config.json"))
    yield "two members of one name", path
