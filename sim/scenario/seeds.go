package scenario

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Seeds are the seeds of a run, from First to Last.
type Seeds struct{ First, Last uint64 }

// maxSeeds bounds a sweep.
const maxSeeds = 1_000_000

// UnmarshalText reads what String writes, and the other forms that a file may have.
func (s *Seeds) UnmarshalText(raw []byte) error {
	text := string(raw)
	first, last, ranged := strings.Cut(text, "..")
	if !ranged {
		last = first
	}
	low, err := strconv.ParseUint(first, 10, 64)
	high, err2 := strconv.ParseUint(last, 10, 64)
	switch {
	case err != nil || err2 != nil:
		return Complain("%q is not a range of seeds", text).Suggest("write a seed such as 7, or a range such as 1..500")
	case high < low:
		return Complain("range of seeds %s runs backwards", text).Suggest("write %s..%s", last, first)
	case high-low >= maxSeeds:
		return Complain("range %s has more than %d seeds", text, maxSeeds).Suggest("sweep in parts")
	}
	*s = Seeds{low, high}
	return nil
}

// ParseSeeds reads a seed such as 7 or a range such as 1..500.
func ParseSeeds(text string) (Seeds, error) {
	var s Seeds
	if err := s.UnmarshalText([]byte(text)); err != nil {
		return Seeds{}, err
	}
	return s, nil
}

// Count returns how many seeds there are.
func (s Seeds) Count() uint64 { return s.Last - s.First + 1 }

func (s Seeds) String() string {
	if s.First == s.Last {
		return strconv.FormatUint(s.First, 10)
	}
	return fmt.Sprintf("%d..%d", s.First, s.Last)
}

// verifyPeriod is after how many seeds the pattern of those that are run twice repeats.
const verifyPeriod = 1_000_000

// Verifies says whether a sweep runs a seed twice: the share of seeds that Verify asks for, evenly
// spread, the first of 1, 2, 3... among them. It depends on nothing but the seed, so that a sweep
// in parts verifies the same ones.
func (c *RunConfig) Verifies(seed uint64) bool {
	n := float64((seed+verifyPeriod-1)%verifyPeriod) + 1
	return math.Ceil(n*float64(c.Verify)) > math.Ceil((n-1)*float64(c.Verify))
}

func (Seeds) schema() map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "integer", "minimum": 0},
		textSchema(`^[0-9]+(\.\.[0-9]+)?$`),
	}}
}
