package storecopy

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/store"
	storev1 "github.com/frayrpc/fray/gen/fray/store/v1"
)

// CheckWhole returns an error that wraps store.ErrUnfinished if what is filed under store.ControllerKey
// is the mark of an unfinished copy.
func CheckWhole(r *storev1.ControllerRecord) error {
	if r.GetUnfinishedCopyOf() == "" {
		return nil
	}
	return fmt.Errorf("%w of %s, which was interrupted or has failed: run the same fray store copy again, which begins anew",
		store.ErrUnfinished, r.GetUnfinishedCopyOf())
}

// mark files a mark in place of the controller's record, durably. A Fray that does not know marks finds
// more starts counted there than are possible, and refuses, too.
func mark(to store.Store, of string) error {
	value, err := proto.Marshal(&storev1.ControllerRecord{
		Incarnation: core.MaxIncarnation + 1, UnfinishedCopyOf: strings.ToValidUTF8(of, "?"),
	})
	if err != nil {
		return fmt.Errorf("encode the mark of an unfinished copy: %w", err)
	}
	return replace(to, value)
}

// replace files what a store has under store.ControllerKey, durably, and with it all that was
// committed before.
func replace(to store.Store, value []byte) error {
	var b store.Batch
	b.Set(store.ControllerKey, value)
	return to.Commit(&b)
}

// controllerRecord returns what a store has under store.ControllerKey, as it is and decoded; nil:
// nothing.
func controllerRecord(s store.Store) ([]byte, *storev1.ControllerRecord, error) {
	value, err := s.Get(store.ControllerKey)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("read controller record: %w", err)
	}
	r := &storev1.ControllerRecord{}
	if err := proto.Unmarshal(value, r); err != nil {
		return nil, nil, fmt.Errorf("%w: controller record cannot be decoded: %w", store.ErrCorrupt, err)
	}
	return value, r, nil
}
