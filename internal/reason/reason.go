// Package reason reads what a controller says in an error besides its code and its message.
package reason

import (
	"errors"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// LeaderHeader has the address of the controller that leads, in the error of one that stands by and
// knows it.
const LeaderHeader = "Fray-Leader"

// Leader returns where the controller that has returned err says that another leads, or "".
func Leader(err error) string {
	var coded *connect.Error
	if !errors.As(err, &coded) {
		return ""
	}
	return coded.Meta().Get(LeaderHeader)
}

// Of returns what the controller itself says of an error; nil if the error is not its own.
func Of(err error) *frayv1.ErrorInfo {
	var coded *connect.Error
	if !errors.As(err, &coded) {
		return nil
	}
	for _, d := range coded.Details() {
		if v, err := d.Value(); err == nil {
			if info, ok := v.(*frayv1.ErrorInfo); ok {
				return info
			}
		}
	}
	return nil
}
