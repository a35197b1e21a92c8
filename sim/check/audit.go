package check

import (
	"context"
	"fmt"
	"slices"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// auditPortion is how many tasks an audit asks for at a time, far below what one call may name.
const auditPortion = 1000

// Audit asks a recorded client how the tasks with these ids stand, and what the controller counts.
// That it does not know one is no error here: the recorder sees it. After an error some were not
// asked for, which is to be told to [Oracles.Unaudited].
func Audit(ctx context.Context, client frayv1connect.ControllerServiceClient, ids []string) error {
	for len(ids) > 0 {
		portion := ids[:min(len(ids), auditPortion)]
		ids = ids[len(portion):]
		if err := auditEnds(ctx, client, portion); err != nil {
			return err
		}
	}
	if _, err := client.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{}); err != nil {
		return fmt.Errorf("audit counts: %w", err)
	}
	return nil
}

// auditEnds asks for many tasks at once, as long as that brings any, and then one by one for those
// that have not ended.
func auditEnds(ctx context.Context, client frayv1connect.ControllerServiceClient, ids []string) error {
	for len(ids) > 0 {
		res, err := client.GetTaskResults(ctx, &frayv1.GetTaskResultsRequest{TaskIds: ids})
		if err != nil {
			return fmt.Errorf("audit %d tasks from %s on: %w", len(ids), ids[0], err)
		}
		told := res.GetUnknownTaskIds()
		for _, r := range res.GetResults() {
			told = append(told, r.GetTask().GetTaskId())
		}
		left := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(told, id) })
		if len(left) == len(ids) {
			return auditOpen(ctx, client, ids)
		}
		ids = left
	}
	return nil
}

func auditOpen(ctx context.Context, client frayv1connect.ControllerServiceClient, ids []string) error {
	for _, id := range ids {
		_, err := client.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: id})
		if err != nil && connect.CodeOf(err) != connect.CodeNotFound {
			return fmt.Errorf("audit task %s: %w", id, err)
		}
	}
	return nil
}
