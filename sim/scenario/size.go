package scenario

import (
	"errors"
	"strconv"
	"strings"

	"github.com/frayrpc/fray/internal/number"
)

// Bytes is a size with its unit, such as 64B or 16MiB.
type Bytes int64

type byteUnit struct {
	suffix string
	size   int64
}

// The longer suffixes first: B ends them all.
var byteUnits = []byteUnit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

const maxBytes = 1 << 40

// UnmarshalText reads what String writes, and the other forms that a file may have.
func (b *Bytes) UnmarshalText(raw []byte) error {
	text := string(raw)
	for _, unit := range byteUnits {
		digits, found := strings.CutSuffix(text, unit.suffix)
		if !found {
			continue
		}
		count, err := number.Parse(strings.TrimSpace(digits), 0, maxBytes/unit.size)
		var outside *number.RangeError
		switch {
		case errors.As(err, &outside) && outside.Below:
			return complain("size %s is negative", text).suggest("write %s", strings.TrimPrefix(text, "-"))
		case outside != nil:
			return complain("size %s is too large", text).suggest("write at most 1024GiB")
		case err == nil:
			*b = Bytes(count * unit.size)
			return nil
		}
		break
	}
	if bareNumber.MatchString(text) {
		return complain("size %s has no unit", text).suggest("write %sB or %sKiB", text, text)
	}
	c := complain("%q is not a size", text)
	for _, unit := range byteUnits[:3] {
		for _, decimal := range []string{unit.suffix[:1] + "B", strings.ToLower(unit.suffix[:1]) + "B", strings.ToLower(unit.suffix), strings.ToLower(unit.suffix[:1]) + "b", unit.suffix[:1]} {
			if digits, found := strings.CutSuffix(text, decimal); found && bareNumber.MatchString(strings.TrimSpace(digits)) {
				return c.suggest("write %s%s", strings.TrimSpace(digits), unit.suffix)
			}
		}
	}
	return c.suggest("write a number and B, KiB, MiB or GiB, such as 64KiB")
}

func (b Bytes) String() string {
	for _, unit := range byteUnits {
		if b != 0 && int64(b)%unit.size == 0 {
			return strconv.FormatInt(int64(b)/unit.size, 10) + unit.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

func (Bytes) schema() map[string]any { return textSchema(`^[0-9]+ *(B|KiB|MiB|GiB)$`) }

// Throughput is a number of bytes in a second, such as 10KiB/s.
type Throughput int64

// UnmarshalText reads what String writes, and the other forms that a file may have.
func (t *Throughput) UnmarshalText(raw []byte) error {
	text := string(raw)
	size, found := strings.CutSuffix(text, "/s")
	if !found {
		return complain("throughput %q does not end with /s", text).suggest("write one such as 10KiB/s")
	}
	var b Bytes
	if b.UnmarshalText([]byte(size)) != nil {
		return complain("throughput %q does not start with a size", text).suggest("write one such as 10KiB/s")
	}
	if b == 0 {
		return complain("throughput %q is 0", text).suggest("use a drop, which passes nothing")
	}
	*t = Throughput(b)
	return nil
}

func (t Throughput) String() string { return Bytes(t).String() + "/s" }

func (Throughput) schema() map[string]any { return textSchema(`^[0-9]+ *(B|KiB|MiB|GiB)/s$`) }
