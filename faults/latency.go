package faults

import (
	"math/rand/v2"
	"time"
)

// A Distribution is how the delays of a rule scatter.
type Distribution string

// The distributions of a [Latency].
const (
	FixedLatency       Distribution = "fixed"
	UniformLatency     Distribution = "uniform"
	ExponentialLatency Distribution = "exponential"
	NormalLatency      Distribution = "normal"
)

var distributions = []Distribution{FixedLatency, UniformLatency, ExponentialLatency, NormalLatency}

// A Latency says how long delays take.
type Latency struct {
	Distribution Distribution
	// Low is the delay itself when fixed, the least when uniform, and the mean otherwise.
	Low time.Duration
	// High is the most when uniform, the standard deviation when normal, and 0 otherwise.
	High time.Duration
}

// Fixed is always the same latency.
func Fixed(d time.Duration) Latency { return Latency{Distribution: FixedLatency, Low: d} }

// Uniform is a latency between two, the higher one excluded.
func Uniform(low, high time.Duration) Latency {
	return Latency{Distribution: UniformLatency, Low: low, High: high}
}

// Exponential is a latency with a mean and a long tail, as that of a queue. It is at most 20 times
// the mean.
func Exponential(mean time.Duration) Latency {
	return Latency{Distribution: ExponentialLatency, Low: mean}
}

// Normal is a latency around a mean, never below 0.
func Normal(mean, deviation time.Duration) Latency {
	return Latency{Distribution: NormalLatency, Low: mean, High: deviation}
}

// latencyTail bounds what an exponential latency draws, in means.
const latencyTail = 20

func (l Latency) draw(random *rand.Rand) time.Duration {
	switch l.Distribution {
	case UniformLatency:
		return l.Low + time.Duration(random.Int64N(max(1, int64(l.High-l.Low))))
	case ExponentialLatency:
		return time.Duration(min(random.ExpFloat64(), latencyTail) * float64(l.Low))
	case NormalLatency:
		return max(0, l.Low+time.Duration(random.NormFloat64()*float64(l.High)))
	}
	return l.Low
}
