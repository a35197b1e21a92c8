package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	conformancev1 "github.com/frayrpc/fray/integration/conformance/gen/connectrpc/conformance/v1"
)

// record writes all that came of a call as one line, without what differs from run to run.
func record(to io.Writer, res *conformancev1.ClientCompatResponse) error {
	same, ok := proto.Clone(res).(*conformancev1.ClientCompatResponse)
	if !ok {
		return nil
	}
	if result := same.GetResponse(); result != nil {
		result.ResponseHeaders, result.ResponseTrailers = steady(result.GetResponseHeaders()), steady(result.GetResponseTrailers())
		for _, payload := range result.GetPayloads() {
			steadySight(payload.GetRequestInfo())
		}
		for _, detail := range result.GetError().GetDetails() {
			var seen conformancev1.ConformancePayload_RequestInfo
			if detail.MessageIs(&seen) && detail.UnmarshalTo(&seen) == nil {
				steadySight(&seen)
				_ = detail.MarshalFrom(&seen)
			}
		}
	}
	_, err := fmt.Fprintln(to, ports.ReplaceAllString(prototext.MarshalOptions{}.Format(same), "ADDRESS"))
	return err
}

var ports = regexp.MustCompile(`127\.0\.0\.1:\d+`)

func steadySight(seen *conformancev1.ConformancePayload_RequestInfo) {
	if seen == nil {
		return
	}
	seen.RequestHeaders = steady(seen.GetRequestHeaders())
	if seen.TimeoutMs != nil {
		seen.TimeoutMs = proto.Int64(0)
	}
	if get := seen.GetConnectGetInfo(); get != nil {
		get.QueryParams = steady(get.GetQueryParams())
	}
}

// steady returns headers without those that tell the time, or how many digits it has, and without
// details of errors, which are told decoded too.
func steady(headers []*conformancev1.Header) []*conformancev1.Header {
	return slices.DeleteFunc(headers, func(h *conformancev1.Header) bool {
		return slices.Contains(unsteady, strings.ToLower(h.GetName()))
	})
}

var unsteady = []string{"date", "connect-timeout-ms", "grpc-timeout", "content-length", "grpc-status-details-bin"}
