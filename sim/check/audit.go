package check

import (
	"context"
	"fmt"

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
	left := make(map[string]bool, len(ids))
	for _, id := range ids {
		left[id] = true
	}
	for len(left) > 0 {
		var ask []string
		for _, id := range ids {
			if left[id] {
				ask = append(ask, id)
			}
		}
		res, err := client.GetTaskResults(ctx, &frayv1.GetTaskResultsRequest{TaskIds: ask})
		if err != nil {
			return fmt.Errorf("audit %d tasks from %s on: %w", len(ask), ask[0], err)
		}
		for _, r := range res.GetResults() {
			delete(left, r.GetTask().GetTaskId())
		}
		for _, id := range res.GetUnknownTaskIds() {
			delete(left, id)
		}
		if len(left) == len(ask) {
			return auditOpen(ctx, client, ask)
		}
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
