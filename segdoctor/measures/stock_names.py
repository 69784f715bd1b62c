"""The names of stock Keras objects: what a model may refer to without bringing code along.

This is an allow list. What is not in it is not stock, whatever module it claims to come from.
Left out on purpose, though Keras has them: ``Lambda``, ``TFSMLayer``, ``TorchModuleWrapper``,
``JaxLayer``, ``FlaxLayer`` (they run code), ``StringLookup``, ``IntegerLookup``,
``TextVectorization`` and ``Hashing`` (they open files that the configuration names).
"""

from __future__ import annotations

from segdoctor.measures.words import words

MODELS = frozenset({"Functional", "Model", "Sequential"})

LAYERS = words(
    """
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average
    AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization Bidirectional
    CategoryEncoding CenterCrop Concatenate Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D
    Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D Cropping3D Dense
    DepthwiseConv1D DepthwiseConv2D Dot Dropout ELU EinsumDense Embedding Flatten GRU GRUCell
    GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
    GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
    GroupNormalization GroupQueryAttention Identity InputLayer LSTM LSTMCell LayerNormalization
    LeakyReLU Masking MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum MultiHeadAttention
    Multiply Normalization PReLU Permute RMSNormalization RNN RandomBrightness RandomContrast
    RandomCrop RandomFlip RandomHeight RandomRotation RandomTranslation RandomWidth RandomZoom
    ReLU RepeatVector Rescaling Reshape Resizing SeparableConv1D SeparableConv2D SimpleRNN
    SimpleRNNCell Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D
    SpectralNormalization StackedRNNCells Subtract ThresholdedReLU TimeDistributed
    UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D
    ZeroPadding3D
    """
)

# Other names of stock layers in files of older versions.
OLD_LAYER_NAMES = {
    "AtrousConvolution2D": "Conv2D",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution2DTranspose": "Conv2DTranspose",
    "Convolution3D": "Conv3D",
    "Deconvolution2D": "Conv2DTranspose",
    "DepthwiseConvolution2D": "DepthwiseConv2D",
    "Merge": "Concatenate",
    "SeparableConvolution2D": "SeparableConv2D",
    "SyncBatchNormalization": "BatchNormalization",
}

# The operations that Keras 3 writes into a functional graph, by the last part of their module.
OPERATIONS = {
    "numpy": words(
        """
        Absolute Add Amax Amin Arctan Average BroadcastTo Ceil Clip Concatenate Cos Divide Exp
        ExpandDims Expm1 Flip Floor GetItem Log Log10 Log1p Log2 Matmul Max Maximum Mean Min
        Minimum Moveaxis Multiply Negative OnesLike Pad Power Prod Reciprocal Repeat Reshape Roll
        Sin Split Sqrt Square Squeeze Stack Std Subtract Sum Swapaxes Tanh Tile Transpose
        TrueDivide Var Where ZerosLike
        """
    ),
    "nn": words(
        """
        AveragePool Celu Elu Gelu HardSigmoid HardSilu LeakyRelu LogSigmoid LogSoftmax MaxPool
        Relu Relu6 Selu Sigmoid Silu Softmax Softplus Softsign
        """
    ),
    "image": frozenset({"Resize"}),
    "core": frozenset({"Cast", "Shape"}),
}

ACTIVATIONS = words(
    """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh
    leaky_relu linear log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink
    softmax softplus softsign sparse_plus sparsemax squareplus swish tanh tanh_shrink threshold
    """
)

INITIALIZERS = words(
    """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer
    LecunNormal LecunUniform Ones Orthogonal OrthogonalInitializer RandomNormal RandomUniform
    TruncatedNormal VarianceScaling Zeros
    """
)
REGULARIZERS = words("L1 L2 L1L2 OrthogonalRegularizer")
CONSTRAINTS = words("MaxNorm MinMaxNorm NonNeg UnitNorm")

LOSSES = words(
    """
    BinaryCrossentropy BinaryFocalCrossentropy CTC CategoricalCrossentropy
    CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy CategoricalHinge Circle
    CosineSimilarity Dice Hinge Huber KLDivergence LogCosh MeanAbsoluteError
    MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
    SparseCategoricalCrossentropy SquaredHinge Tversky
    """
)
LOSS_FUNCTIONS = words(
    """
    KLD MAE MAPE MSE MSLE bce binary_crossentropy binary_focal_crossentropy
    categorical_crossentropy categorical_focal_crossentropy categorical_hinge cosine_proximity
    cosine_similarity dice hinge huber huber_loss kl_divergence kld
    kullback_leibler_divergence log_cosh logcosh mae mape mean_absolute_error
    mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error mse msle
    poisson sparse_categorical_crossentropy squared_hinge tversky
    """
)
METRICS = words(
    """
    AUC Accuracy BinaryAccuracy BinaryIoU CategoricalAccuracy F1Score FBetaScore FalseNegatives
    FalsePositives IoU Mean MeanIoU MeanMetricWrapper MeanRelativeError MeanTensor OneHotIoU
    OneHotMeanIoU Precision PrecisionAtRecall R2Score Recall RecallAtPrecision
    RootMeanSquaredError SensitivityAtSpecificity SparseCategoricalAccuracy
    SparseTopKCategoricalAccuracy SpecificityAtSensitivity Sum TopKCategoricalAccuracy
    TrueNegatives TruePositives
    """
)
METRIC_FUNCTIONS = words(
    """
    acc accuracy binary_accuracy categorical_accuracy sparse_categorical_accuracy
    sparse_top_k_categorical_accuracy top_k_categorical_accuracy
    """
)
OPTIMIZERS = words(
    """
    Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion LossScaleOptimizer Muon Nadam
    RMSprop SGD
    """
)
SCHEDULES = words(
    """
    CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay
    PolynomialDecay WarmUp
    """
)
DTYPE_POLICIES = frozenset({"DTypePolicy", "Policy", "PolicyV1", "FloatDTypePolicy"})

# Plain values that Keras 3 wraps in a class name; nothing is imported for them.
VALUES = words(
    "__keras_tensor__ __tensor__ __numpy__ __tuple__ __bytes__ __ellipsis__ __slice__ "
    "__complex__ TensorShape CompositeTensor"
)


def operation_family(name: str, module: object, config: object) -> str | None:
    """``"numpy"``, ``"nn"`` … for an operation of Keras 3; None if it is none.

    HDF5 files do not state the module: ``Add`` is then a layer if its settings are a layer's.
    """
    if isinstance(module, str) and module:
        family = module.rpartition(".")[2]
        return family if ".ops." in module and name in OPERATIONS.get(family, ()) else None
    if isinstance(config, dict) and "trainable" in config:
        return None
    return next((family for family, names in OPERATIONS.items() if name in names), None)


def is_stock_loss(name: str) -> bool:
    """True if Keras itself has a loss of this name."""
    return name in LOSSES or name in LOSS_FUNCTIONS


def base_name(name: str) -> str:
    """``"Custom>DiceLoss"`` → ``"DiceLoss"``."""
    return name.rpartition(">")[2]


def snake_case_matches(name: str, known: frozenset[str]) -> bool:
    """True for ``glorot_uniform`` beside ``GlorotUniform``: old files write functions' names."""
    return name.replace("_", "").lower() in {entry.lower() for entry in known}
