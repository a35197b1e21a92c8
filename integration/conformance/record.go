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
		suite, _, _ := strings.Cut(same.GetTestName(), "/")
		if slices.Contains(raced, suite) {
			code := result.GetError().GetCode()
			proto.Reset(result)
			result.Error = &conformancev1.Error{Code: code}
		}
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
	_, err := fmt.Fprintln(to, addresses.ReplaceAllString(prototext.MarshalOptions{}.Format(same), "ADDRESS"))
	return err
}

// raced are suites in which either end may end a call first. Only with which code it ended is the
// same each time.
var raced = []string{"Client Cancellation", "Timeouts"}

var addresses = regexp.MustCompile(`127\.0\.0\.1:\d+`)

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

// steady returns headers in the order of their names, without those that tell the time, or how many
// digits it has, whom a call is for and what becomes of its connection; and without details of
// errors, which are told decoded too.
func steady(headers []*conformancev1.Header) []*conformancev1.Header {
	headers = slices.DeleteFunc(headers, func(h *conformancev1.Header) bool {
		return slices.Contains(unsteady, strings.ToLower(h.GetName()))
	})
	slices.SortFunc(headers, func(a, b *conformancev1.Header) int {
		return strings.Compare(strings.ToLower(a.GetName()), strings.ToLower(b.GetName()))
	})
	return headers
}

var unsteady = []string{
	"date", "connect-timeout-ms", "grpc-timeout", "content-length", "host", ":authority", "connection",
	"access-control-expose-headers", "grpc-status-details-bin",
}
