// Package crontab tells the times of schedules: lines as of crontab(5), in a time zone.
package crontab

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // For machines that know no time zones.

	"github.com/netresearch/go-cron"
)

// parser takes five fields, of which those for the day of the month and of the week are alternatives where both
// are given, and macros such as @daily and "@every 90s". Eight years may pass between two 29ths of February.
var parser = cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor | cron.DowOrDom).WithMaxSearchYears(30)

// MinEvery is the least that @every takes.
const MinEvery = time.Second

// Times are those of one line in one zone.
type Times struct {
	schedule  cron.Schedule
	zone      *time.Location
	someHours bool // it names hours
}

// anyHour is the bit that the parser sets in a field for a star.
const anyHour = 1 << 63

// Parse reads a line, and the IANA name of a time zone, in which "" is UTC.
func Parse(line, zone string) (*Times, error) {
	if strings.Contains(line, "=") {
		return nil, fmt.Errorf("cron line %q: a time zone has a field of its own", line)
	}
	schedule, err := parser.Parse(line)
	if err != nil {
		return nil, fmt.Errorf("cron line %q: %w: write minute, hour, day of month, month and day of week, or such as @daily or @every 90s", line, err)
	}
	if every, ok := schedule.(cron.ConstantDelaySchedule); ok && every.Delay < MinEvery {
		return nil, fmt.Errorf("cron line %q: must be at least @every %v", line, MinEvery)
	}
	at, err := location(zone)
	if err != nil {
		return nil, err
	}
	t := &Times{schedule: schedule, zone: at}
	if fields, ok := schedule.(*cron.SpecSchedule); ok {
		t.someHours = fields.Hour&anyHour == 0
	}
	return t, nil
}

// Check says what is wrong with a line or a zone, also where the line has no time at all.
func Check(line, zone string) error {
	t, err := Parse(line, zone)
	if err != nil {
		return err
	}
	if _, some := t.After(time.Unix(0, 0)); !some {
		return fmt.Errorf("cron line %q: there is no such time, it never fires", line)
	}
	return nil
}

func location(zone string) (*time.Location, error) {
	if zone == "Local" { // Which depends on the machine.
		return nil, errors.New(`time zone "Local": name one, such as Europe/Berlin`)
	}
	at, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("time zone %q: %w: name one such as Europe/Berlin", zone, err)
	}
	return at, nil
}

// After returns the first time after an instant, in whole seconds, and whether there is one.
//
// A time that clocks skip as they are set ahead for the summer comes within the hour after that. One that they
// show twice as they are set back comes once, unless the line takes any hour.
func (t *Times) After(instant time.Time) (time.Time, bool) {
	next := t.schedule.Next(instant.In(t.zone))
	for t.someHours && repeated(next) {
		next = t.schedule.Next(next)
	}
	if next.IsZero() || !next.After(instant) {
		return time.Time{}, false
	}
	return next.UTC(), true
}

// repeated says whether clocks have shown a time before, and were set back since.
func repeated(at time.Time) bool {
	start, _ := at.ZoneBounds()
	if start.IsZero() {
		return false
	}
	_, before := start.Add(-time.Second).Zone()
	_, now := at.Zone()
	return at.Sub(start) < time.Duration(before-now)*time.Second
}
