package number

import (
	"strconv"
	"strings"
)

// A Unit is one that sizes are given in.
type Unit struct {
	Name  string
	Bytes int64
}

// Units are those that sizes are written in, and AllUnits those that they may be read in. B is last
// in both: it ends the names of all.
var (
	Units    = []Unit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
	AllUnits = append([]Unit{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}}, Units...)
)

// CutUnit returns what stands before the unit of a size, and how many bytes the unit is: 1 and all
// of the text if it has none of them.
func CutUnit(text string, units []Unit) (digits string, bytes int64) {
	for _, unit := range units {
		if digits, found := strings.CutSuffix(text, unit.Name); found {
			return digits, unit.Bytes
		}
	}
	return text, 1
}

// FormatSize writes a number of bytes in the largest unit of which it is a whole number.
func FormatSize(bytes int64) string {
	for _, unit := range Units {
		if bytes != 0 && bytes%unit.Bytes == 0 {
			return strconv.FormatInt(bytes/unit.Bytes, 10) + unit.Name
		}
	}
	return "0B"
}
