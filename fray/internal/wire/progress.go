package wire

import (
	"math"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
)

// CheckProgress returns an error, with the reason INVALID, unless the list is as its schema says.
func CheckProgress(list []*frayv1.AttemptProgress) error {
	if len(list) > limit.ProgressCount {
		return Error(ReasonInvalid, 0, "progress: has %d attempts, at most %d are allowed", len(list), limit.ProgressCount)
	}
	for i, p := range list {
		if p.GetProgress() == nil {
			return Error(ReasonInvalid, 0, "progress[%d].progress: is required", i)
		}
		if s := p.GetProgress().GetShare(); math.IsNaN(s) || s < 0 || s > 1 {
			return Error(ReasonInvalid, 0, "progress[%d].progress.share: must be from 0 to 1, is %v", i, s)
		}
		if n := len(p.GetProgress().GetMessage()); n > limit.ProgressMessage {
			return Error(ReasonInvalid, 0, "progress[%d].progress.message: has %d bytes, at most %d are allowed", i, n, limit.ProgressMessage)
		}
	}
	return nil
}
