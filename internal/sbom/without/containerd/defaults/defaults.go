// Package defaults has what BuildKit's sessions need. There is no daemon, so it has no address.
package defaults

const (
	DefaultAddress = ""

	// The largest messages, in bytes.
	DefaultMaxRecvMsgSize = 16 << 20
	DefaultMaxSendMsgSize = 16 << 20
)
