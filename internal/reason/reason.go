// Package reason reads what a controller says in an error besides its code and its message.
package reason

import (
	"errors"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

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
