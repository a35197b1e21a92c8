package check

import (
	"context"
	"fmt"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// Audit asks a recorded client how the tasks with these ids stand, and what the controller counts. That it does not know one is
// no error here: the recorder sees it.
func Audit(ctx context.Context, client frayv1connect.ControllerServiceClient, ids []string) error {
	for _, id := range ids {
		_, err := client.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: id})
		if err != nil && connect.CodeOf(err) != connect.CodeNotFound {
			return fmt.Errorf("audit task %s: %w", id, err)
		}
	}
	if _, err := client.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{}); err != nil {
		return fmt.Errorf("audit counts: %w", err)
	}
	return nil
}
