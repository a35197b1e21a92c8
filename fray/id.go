package fray

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/frayrpc/fray/fray/internal/dial"
)

var (
	idPattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$`)
	namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,255}$`)
)

// checkID checks the id of a task or a job.
func checkID(what, id string) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("%s %.140q must be up to 128 letters, digits and ._:/-, the first a letter or a digit", what, id)
	}
	return nil
}

// checkName checks the name of a function.
func checkName(name string) error {
	if !namePattern.MatchString(name) {
		return errors.New("the name must be up to 256 letters, digits and ._:/-, the first a letter or a digit")
	}
	return nil
}

// newID returns a ULID of the present time.
func newID(r *dial.Rand) string {
	var id ulid.ULID
	binary.BigEndian.PutUint64(id[8:], r.Uint64())
	binary.BigEndian.PutUint16(id[6:], uint16(r.Uint64())) //nolint:gosec // within: its lower bits are meant
	_ = id.SetTime(ulid.Timestamp(time.Now()))             // fails in the year 10889
	return id.String()
}
