package storecopy

import (
	"errors"
	"fmt"
	"math"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
)

// spareIncarnations are those that a copy needs beyond its source's: one to be written in, and one for
// its first controller.
const spareIncarnations = 2

// Source is a store that can be copied, which nobody may change meanwhile.
type Source struct {
	name        string
	store       store.Store
	record      []byte // the controller's
	incarnation uint64
}

// From returns the source that a store is. The name is for people, and for the mark of a copy: it must
// have no secrets. It is an error if there is nothing to copy, or what a copy would lack.
func From(name string, s store.Store) (*Source, error) {
	value, record, err := controllerRecord(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case record == nil:
		return nil, fmt.Errorf("%s has no records of a controller: there is nothing to copy", name)
	}
	if err := CheckWhole(record); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	from := &Source{name: name, store: s, record: value, incarnation: record.GetIncarnation()}
	if led, ok := s.(store.Led); ok {
		from.incarnation = max(from.incarnation, led.Epoch())
	}
	if from.incarnation > core.MaxIncarnation-spareIncarnations {
		return nil, fmt.Errorf("%s: its controllers have counted %d starts, and tokens have room for %d: no controller could start on a copy",
			name, from.incarnation, core.MaxIncarnation)
	}
	return from, from.known()
}

// Incarnation is the last in which a controller can have given tokens. The epoch in which a copy is
// written to a database must be greater.
func (s *Source) Incarnation() uint64 { return s.incarnation }

// known returns an error if there are records of a kind that this Fray does not know, and whose
// meaning for a copy it does not know either.
func (s *Source) known() error {
	known := make(map[store.RecordKind]bool)
	for kind := range store.Kinds() {
		known[kind] = true
	}
	kinds, err := present(s.store)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	for _, kind := range kinds {
		if !known[kind] {
			return fmt.Errorf("%s has records of %v, which a newer Fray has written: copy it with that one", s.name, kind)
		}
	}
	return nil
}

// errEnough ends a scan that has seen what it is for.
var errEnough = errors.New("enough")

// present returns the kinds of which a store has records, also those that this Fray does not know.
func present(s store.Store) (kinds []store.RecordKind, err error) {
	for kind := store.RecordKind(1); ; kind++ {
		err := s.Scan(kind, 0, func(uint64, []byte) error { return errEnough })
		switch {
		case errors.Is(err, errEnough):
			kinds = append(kinds, kind)
		case err != nil && !errors.Is(err, lead.ErrRefused): // A database has tables for those that it knows.
			return nil, fmt.Errorf("look for records of %v: %w", kind, err)
		}
		if kind == math.MaxUint8 {
			return kinds, nil
		}
	}
}
