package scenario

import (
	"connectrpc.com/connect"

	"github.com/frayrpc/fray/faults"
)

// Error answers calls with an error.
type Error struct {
	Code    string `yaml:"code" required:"true" enum:"canceled,unknown,invalid_argument,deadline_exceeded,not_found,already_exists,permission_denied,resource_exhausted,failed_precondition,aborted,out_of_range,unimplemented,internal,unavailable,data_loss,unauthenticated" doc:"The Connect code." example:"unavailable"`
	Message string `yaml:"message" doc:"What it says." example:"try later"`
}

func (*Error) example() Action { return &Error{Code: "unavailable"} }

func (e *Error) fault(string) faults.Action {
	var code connect.Code
	if err := code.UnmarshalText([]byte(e.Code)); err != nil {
		code = connect.CodeUnknown // Not in the enum: the reader refuses it.
	}
	return faults.Action{Kind: faults.Error, Code: code, Message: e.Message}
}
