"""One training step: every discriminator once, then the generator, then its exponential moving average."""
import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import losses
from discriminator import Discriminator, Said
from encoders import ImageEncoder
from fill import fill
from generator import Generator, RealImagePath
from layers import freeze

# What the first steps are compared by: gradients near each end of every network, and the update of the first of each.
WATCHED = {
    "generator": ["img_net3.img.0.weight", "ca_net.fc.weight", "h_net1.upsample1.1.weight", "h_net2.att.conv_context.weight"],
    "average": ["img_net3.img.0.weight"],
    "real_image": ["h_net3.img_code_sxx.0.weight"],
    "discriminator": ["img_code_s16.0.module.weight_bar", "COND_DNET.outlogits.0.weight", "h_net1.fc.0.weight"],
}


def adam(network: nn.Module, cfg: dict) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=cfg["lr"], betas=tuple(cfg["betas"]), eps=cfg["eps"], fused=True)


class Trainer:
    def __init__(self, cfg: dict):
        g, d = cfg["generator"], cfg["discriminator"]
        self.cfg, self.sides, self.steps = cfg, [g["base"] << i for i in range(g["stages"])], 0
        self.generator = fill(Generator(g), "generator.").train()
        self.real_image = fill(RealImagePath(g), "real_image.").train()
        self.discriminators = [
            fill(Discriminator(side, g["base"], d["ndf"], d["text_dim"], d["latent"]), f"discriminator{side}.").train()
            for side in self.sides
        ]
        image = cfg["image_encoder"]
        self.encoder = ImageEncoder(image["backbone"], image["side"], cfg["text"]["words_dim"])
        fill(self.encoder.backbone, "backbone."), fill(self.encoder.projection, "projection.")
        self.encoder.freeze()
        self.average = copy.deepcopy(self.generator)
        floats = [[t for t in n.state_dict().values() if t.is_floating_point()] for n in (self.average, self.generator)]
        self.average_values, self.generator_values = floats
        self.generator_opt = adam(self.generator, cfg["generator_opt"])
        self.real_image_opt = adam(self.real_image, cfg["generator_opt"])
        self.discriminator_opts = [adam(d, cfg["discriminator_opt"]) for d in self.discriminators]
        self.gradients: dict[str, Tensor] | None = None

    def step(self, batch: dict, noise: dict) -> dict[str, float]:
        weight, scalars = self.cfg["loss"], {}
        words, sentence, padding = batch["words"], batch["sentence"], batch["padding"]
        made = self.generator(noise["z"], noise["eps"], words, sentence, padding)

        total = 0
        for i, side in enumerate(self.sides):
            real = batch[f"real{side}"]
            self._teach(i, made.images[i].detach(), real, batch, noise, scalars)
            freeze(self.discriminators[i], True)
            said = self.discriminators[i](made.images[i], sentence, noise[f"d{side}.frozen"])
            adversarial = losses.real(said.unconditional) + losses.real(said.conditional)
            dal = F.l1_loss(said.reconstruction, self._small(real, said))
            scalars |= {f"g{side}": adversarial.item(), f"dal{side}": dal.item()}
            total = total + adversarial + weight["dal"] * dal

        for stage, split in enumerate(made.splits, start=1):
            side = self.sides[stage - 1]
            real = batch[f"real{side}"]
            h_star = self.real_image(stage, real)
            rirm = F.l1_loss(self.generator.decode(stage - 1, h_star), real)
            image = losses.semantic_disentangling(split.key_image, split.non_key_image, h_star)
            context = losses.semantic_disentangling(split.key_context, split.non_key_context, h_star)
            scalars |= {f"sdl{side}": (image + context).item(), f"rirm{side}": rirm.item()}
            total = total + weight["sdl_image"] * image + weight["sdl_context"] * context + weight["rirm"] * rirm

        regions, code = self.encoder(made.images[-1])
        damsm = losses.damsm(regions, code, words, sentence, padding, self.cfg["damsm"]["gammas"])
        kl = losses.kl(made.mu, made.logvar)
        scalars |= {"damsm": damsm.item(), "kl": kl.item()}
        total = total + weight["lambda"] * damsm + weight["condition_kl"] * kl

        total.backward()
        self._watch("generator", self.generator)
        self._watch("real_image", self.real_image)
        for opt in (self.generator_opt, self.real_image_opt):
            opt.step()
            opt.zero_grad(set_to_none=True)
        self._follow()
        self.steps += 1
        return scalars

    def _small(self, images: Tensor, said: Said) -> Tensor:
        return F.adaptive_avg_pool2d(images, said.reconstruction.shape[2:])

    def _teach(self, i: int, fake: Tensor, real: Tensor, batch: dict, noise: dict, scalars: dict) -> None:
        """One step of a discriminator."""
        side, d, opt, sentence = self.sides[i], self.discriminators[i], self.discriminator_opts[i], batch["sentence"]
        freeze(d, False)
        on_real = d(real, sentence, noise[f"d{side}.real"])
        on_fake = d(fake, sentence, noise[f"d{side}.fake"])
        wrong = d.COND_DNET(on_real.features, sentence.roll(-1, dims=0))
        reals = losses.real(on_real.unconditional) + losses.real(on_real.conditional)
        fakes = losses.fake(on_fake.unconditional) + losses.fake(on_fake.conditional) + losses.fake(wrong)
        adversarial = reals / 2 + fakes / 3
        dnm = F.l1_loss(on_fake.reconstruction, self._small(fake, on_fake))
        dnm = dnm + F.l1_loss(on_real.reconstruction, self._small(real, on_real))
        dnm = dnm + losses.kl(on_fake.mu, on_fake.logvar) + losses.kl(on_real.mu, on_real.logvar)
        scalars |= {f"d{side}": adversarial.item(), f"dnm{side}": dnm.item()}
        (adversarial + self.cfg["loss"]["dnm"] * dnm).backward()
        self._watch("discriminator", d, side)
        opt.step()
        opt.zero_grad(set_to_none=True)

    @torch.no_grad()
    def _follow(self) -> None:
        decay = min(self.cfg["train"]["ema"], (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.average_values, self.generator_values, 1 - decay)

    def _watch(self, kind: str, network: nn.Module, side: int | str = "") -> None:
        if self.gradients is not None:
            for name in WATCHED[kind]:
                self.gradients[f"gradient.{kind}{side}.{name}"] = network.get_parameter(name).grad.clone()

    def first(self, batch: dict, noise: dict) -> dict[str, Tensor]:
        """Two steps of the same noise, the first with learning rates of 0; see the Rust side."""
        opts = [self.generator_opt, self.real_image_opt, *self.discriminator_opts]
        groups = [group for opt in opts for group in opt.param_groups]
        rates = [group["lr"] for group in groups]
        for group in groups:
            group["lr"] = 0.0
        self.gradients = {}
        found = {f"loss.{name}": torch.tensor([value]) for name, value in self.step(batch, noise).items()}
        found |= self.gradients
        self.gradients = None
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
        old = self._weights()
        found |= {f"second.{name}": torch.tensor([value]) for name, value in self.step(batch, noise).items()}
        return found | {f"update.{name}": new - old[name] for name, new in self._weights().items()}

    def _weights(self) -> dict[str, Tensor]:
        networks = {"generator": self.generator, "average": self.average, "real_image": self.real_image}
        networks |= {f"discriminator{side}": d for side, d in zip(self.sides, self.discriminators, strict=True)}
        names = {kind: WATCHED[kind.rstrip("0123456789")][0] for kind in networks}
        return {f"{kind}.{names[kind]}": n.get_parameter(names[kind]).detach().clone() for kind, n in networks.items()}
