"""Runs the power machine, and the check that it would notice a missing guard."""

from __future__ import annotations

from tests.property.power import PowerMachine

TestPowerMachine = PowerMachine.TestCase
