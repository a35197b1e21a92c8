package scenario

import (
	"time"

	"github.com/frayrpc/fray/faults"
)

// Delay makes messages take longer: fixed with for, uniform with from and to, exponential with
// mean, normal with mean and deviation.
type Delay struct {
	For       Duration `yaml:"for" doc:"A fixed delay." example:"50ms"`
	From      Duration `yaml:"from" doc:"The least of a uniform delay." example:"10ms"`
	To        Duration `yaml:"to" doc:"The most of a uniform delay." example:"90ms"`
	Mean      Duration `yaml:"mean" doc:"The mean of an exponential delay, or with deviation of a normal one." example:"50ms"`
	Deviation Duration `yaml:"deviation" doc:"The standard deviation of a normal delay." example:"10ms"`
}

func (*Delay) example() Action { return &Delay{For: 1} }

func (d *Delay) fault(string) faults.Action {
	return faults.Action{Kind: faults.Delay, Latency: d.latency()}
}

// latency returns the delay's distribution.
func (d *Delay) latency() faults.Latency {
	switch {
	case d.Deviation != 0:
		return faults.Normal(time.Duration(d.Mean), time.Duration(d.Deviation))
	case d.Mean != 0:
		return faults.Exponential(time.Duration(d.Mean))
	case d.To != 0:
		return faults.Uniform(time.Duration(d.From), time.Duration(d.To))
	}
	return faults.Fixed(time.Duration(d.For))
}

func (d *Delay) check(v *Validator, _ *Fault) {
	forms := 0
	for _, given := range []bool{d.For != 0, d.From != 0 || d.To != 0, d.Mean != 0} {
		if given {
			forms++
		}
	}
	at := []any{&d.For, &d.From, &d.To, &d.Mean, &d.Deviation, d}
	switch {
	case forms == 0:
		v.Report(Complain("the delay has no time").Suggest("write for: 50ms; or from and to; or mean"), at...)
	case forms > 1:
		v.Report(Complain("the delay has several forms at once").Suggest("keep for; or from and to; or mean and deviation"), at...)
	case d.Deviation != 0 && d.Mean == 0:
		v.Report(Complain("a deviation needs a mean").Suggest("add mean: 50ms"), &d.Deviation)
	case d.To != 0 && d.To <= d.From || d.From != 0 && d.To == 0:
		v.Report(Complain("a delay from %v to %v is no span", d.From, d.To).Suggest("write the shorter first"), &d.To, &d.From)
	}
}
