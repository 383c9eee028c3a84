"""Probability distributions (torch.distributions)."""

from dtrain.distributions import (
    constraints as constraints,
    kl_rules as kl_rules,
    transforms as transforms,
)
from dtrain.distributions.bernoulli import (
    Bernoulli as Bernoulli,
    Binomial as Binomial,
    Geometric as Geometric,
)
from dtrain.distributions.categorical import (
    Categorical as Categorical,
    Multinomial as Multinomial,
    OneHotCategorical as OneHotCategorical,
    OneHotCategoricalStraightThrough as OneHotCategoricalStraightThrough,
)
from dtrain.distributions.combined_transforms import (
    ComposeTransform as ComposeTransform,
    IndependentTransform as IndependentTransform,
    identity_transform as identity_transform,
)
from dtrain.distributions.dirichlet import Beta as Beta, Dirichlet as Dirichlet
from dtrain.distributions.distribution import Distribution as Distribution
from dtrain.distributions.event_transforms import (
    LowerCholeskyTransform as LowerCholeskyTransform,
    ReshapeTransform as ReshapeTransform,
    SoftmaxTransform as SoftmaxTransform,
    StickBreakingTransform as StickBreakingTransform,
)
from dtrain.distributions.gamma import Chi2 as Chi2, Exponential as Exponential, Gamma as Gamma
from dtrain.distributions.independent import Independent as Independent
from dtrain.distributions.kl import kl_divergence as kl_divergence, register_kl as register_kl
from dtrain.distributions.location_scale import (
    Cauchy as Cauchy,
    Gumbel as Gumbel,
    Laplace as Laplace,
    Uniform as Uniform,
)
from dtrain.distributions.mixture import MixtureSameFamily as MixtureSameFamily
from dtrain.distributions.multivariate_normal import MultivariateNormal as MultivariateNormal
from dtrain.distributions.normal import (
    HalfNormal as HalfNormal,
    LogNormal as LogNormal,
    Normal as Normal,
)
from dtrain.distributions.poisson import Poisson as Poisson
from dtrain.distributions.relaxed import (
    ExpRelaxedCategorical as ExpRelaxedCategorical,
    LogitRelaxedBernoulli as LogitRelaxedBernoulli,
    RelaxedBernoulli as RelaxedBernoulli,
    RelaxedOneHotCategorical as RelaxedOneHotCategorical,
)
from dtrain.distributions.student_t import StudentT as StudentT
from dtrain.distributions.transformed import TransformedDistribution as TransformedDistribution
from dtrain.distributions.transforms import (
    AbsTransform as AbsTransform,
    AffineTransform as AffineTransform,
    CumulativeDistributionTransform as CumulativeDistributionTransform,
    ExpTransform as ExpTransform,
    PowerTransform as PowerTransform,
    SigmoidTransform as SigmoidTransform,
    SoftplusTransform as SoftplusTransform,
    TanhTransform as TanhTransform,
    Transform as Transform,
)
from dtrain.distributions.von_mises import VonMises as VonMises
