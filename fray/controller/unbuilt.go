package controller

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

var errUnbuilt = connect.NewError(connect.CodeUnimplemented, errors.New("not built yet"))

func (s *service) ListJobs(context.Context, *frayv1.ListJobsRequest) (*frayv1.ListJobsResponse, error) {
	return nil, errUnbuilt
}

func (s *service) ListPending(context.Context, *frayv1.ListPendingRequest) (*frayv1.ListPendingResponse, error) {
	return nil, errUnbuilt
}

func (s *service) ListLimits(context.Context, *frayv1.ListLimitsRequest) (*frayv1.ListLimitsResponse, error) {
	return nil, errUnbuilt
}

func (s *service) ListObjects(context.Context, *frayv1.ListObjectsRequest) (*frayv1.ListObjectsResponse, error) {
	return nil, errUnbuilt
}
