package shard

import (
	"dsiem/internal/correlate"
)

// EngineOptions are the engine's settings.
type EngineOptions = correlate.Options

// The defaults of EngineOptions.
const (
	DefaultMedRiskMin = correlate.DefaultMedRiskMin
	DefaultMedRiskMax = correlate.DefaultMedRiskMax
)
