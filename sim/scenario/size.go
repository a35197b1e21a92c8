package scenario

import (
	"errors"
	"strings"

	"github.com/frayrpc/fray/internal/number"
)

// Bytes is a size with its unit, such as 64B or 16MiB.
type Bytes int64

const maxBytes = 1 << 40

// UnmarshalText reads what String writes, and the other forms that a file may have.
func (b *Bytes) UnmarshalText(raw []byte) error {
	text := string(raw)
	digits, unit := number.CutUnit(text, number.Units)
	count, err := number.Parse(strings.TrimSpace(digits), 0, maxBytes/unit)
	var outside *number.RangeError
	switch {
	case digits == text: // Without a unit.
	case errors.As(err, &outside) && outside.Below:
		return Complain("size %s is negative", text).Suggest("write %s", strings.TrimPrefix(text, "-"))
	case outside != nil:
		return Complain("size %s is too large", text).Suggest("write at most 1024GiB")
	case err == nil:
		*b = Bytes(count * unit)
		return nil
	}
	if bareNumber.MatchString(text) {
		return Complain("size %s has no unit", text).Suggest("write %sB or %sKiB", text, text)
	}
	c := Complain("%q is not a size", text)
	for _, unit := range number.Units[:3] {
		upper := unit.Name[:1]
		lower := strings.ToLower(upper)
		for _, wrong := range []string{upper + "B", lower + "B", lower + "ib", lower + "b", upper} {
			if digits, found := strings.CutSuffix(text, wrong); found && bareNumber.MatchString(strings.TrimSpace(digits)) {
				return c.Suggest("write %s%s", strings.TrimSpace(digits), unit.Name)
			}
		}
	}
	return c.Suggest("write a number and B, KiB, MiB or GiB, such as 64KiB")
}

func (b Bytes) String() string { return number.FormatSize(int64(b)) }

func (Bytes) schema() map[string]any { return textSchema(`^[0-9]+ *(B|KiB|MiB|GiB)$`) }

// Throughput is a number of bytes in a second, such as 10KiB/s.
type Throughput int64

// UnmarshalText reads what String writes, and the other forms that a file may have.
func (t *Throughput) UnmarshalText(raw []byte) error {
	text := string(raw)
	size, found := strings.CutSuffix(text, "/s")
	if !found {
		return Complain("throughput %q does not end with /s", text).Suggest("write one such as 10KiB/s")
	}
	var b Bytes
	if b.UnmarshalText([]byte(size)) != nil {
		return Complain("throughput %q does not start with a size", text).Suggest("write one such as 10KiB/s")
	}
	if b == 0 {
		return Complain("throughput %q is 0", text).Suggest("use a drop, which passes nothing")
	}
	*t = Throughput(b)
	return nil
}

func (t Throughput) String() string { return Bytes(t).String() + "/s" }

func (Throughput) schema() map[string]any { return textSchema(`^[0-9]+ *(B|KiB|MiB|GiB)/s$`) }
