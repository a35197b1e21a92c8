package fray

import "time"

// WithRayPauses has the ray backend look at jobs and submit them anew sooner than it does.
func WithRayPauses(poll, pause time.Duration) Option {
	return jobOption(func(c *jobConfig) { c.ray.poll, c.ray.pause = poll, pause })
}
