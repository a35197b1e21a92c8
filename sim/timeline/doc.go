// Package timeline shows a run of a scenario as one HTML page: a lane for each host, messages as
// arrows between lanes, attempts as bars in the lanes of their workers, faults as bands, and the
// violation, if there is one, as a line across all of them.
//
// A [Collector] listens to a run and keeps what a page can show, within bounds:
//
//	var options virtual.Options
//	collector := timeline.New(s)
//	collector.Listen(&options)
//	result, err := virtual.Run(ctx, subject, s, seed, options)
//	...
//	err = collector.Page(result, "fray-sim --scenario worker-crash").Write(file)
//
// A page needs nothing but itself: its scripts, styles and data are within it, and it makes no
// request. It has nothing of the machine or the clock in it, so that pages of one scenario and seed
// are identical.
package timeline
