package mapplan

import (
	"fmt"
	"strings"

	"github.com/frayrpc/fray/internal/number"
)

// What a Halt counts.
const (
	onFail    = "fail"
	onSuccess = "success"
	onDone    = "done"
)

// maxHaltCount bounds n of fail=n.
const maxHaltCount = 1_000_000_000

// Halt says when no further jobs are started. The zero value is never.
type Halt struct {
	// Now: jobs that run are ended, too.
	Now bool
	// Why is what is counted: fail, success or done; empty: nothing.
	Why string
	// Count is how many of them it takes; 0: Percent of all jobs.
	Count   int
	Percent int
}

// AtFirstFailure is what holds where nothing else is said.
var AtFirstFailure = Halt{Now: true, Why: onFail, Count: 1}

// ParseHalt reads "never", or WHEN,WHY=N as parallel has it: now,fail=1 or soon,success=20%.
func ParseHalt(text string) (Halt, error) {
	if text == "never" {
		return Halt{}, nil
	}
	when, rest, _ := strings.Cut(text, ",")
	why, count, _ := strings.Cut(rest, "=")
	wrong := fmt.Errorf("%q is not like never, now,fail=1, soon,success=3 or soon,done=20%%", text)
	if when != "now" && when != "soon" || why != onFail && why != onSuccess && why != onDone {
		return Halt{}, wrong
	}
	h := Halt{Now: when == "now", Why: why}
	var err error
	if digits, ok := strings.CutSuffix(count, "%"); ok {
		h.Percent, err = number.Parse(digits, 1, 100)
	} else {
		h.Count, err = number.Parse(count, 1, maxHaltCount)
	}
	if err != nil {
		return Halt{}, fmt.Errorf("%w: %w", wrong, err)
	}
	return h, nil
}

// String is what ParseHalt reads as h.
func (h Halt) String() string {
	if h.Why == "" {
		return "never"
	}
	when := "soon"
	if h.Now {
		when = "now"
	}
	if h.Count > 0 {
		return fmt.Sprintf("%s,%s=%d", when, h.Why, h.Count)
	}
	return fmt.Sprintf("%s,%s=%d%%", when, h.Why, h.Percent)
}

// Reached says whether so many jobs that succeeded and failed are enough; total is how many there are, which
// counts for a percentage only.
func (h Halt) Reached(succeeded, failed, total int) bool {
	var n int
	switch h.Why {
	case onFail:
		n = failed
	case onSuccess:
		n = succeeded
	case onDone:
		n = succeeded + failed
	default:
		return false
	}
	if h.Count > 0 {
		return n >= h.Count
	}
	const whole = 100
	return n > 0 && n*whole >= h.Percent*total
}

// IsFailure says whether what is counted is failures.
func (h Halt) IsFailure() bool { return h.Why == onFail }

// IsSuccess says whether what is counted is successes.
func (h Halt) IsSuccess() bool { return h.Why == onSuccess }

// Reason says what was enough.
func (h Halt) Reason(succeeded, failed int) string {
	switch h.Why {
	case onFail:
		return fmt.Sprintf("%d failed", failed)
	case onSuccess:
		return fmt.Sprintf("%d succeeded", succeeded)
	default:
		return fmt.Sprintf("%d are done", succeeded+failed)
	}
}
