package sign

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Fingerprint identifies what the policy accepts, as 64 hexadecimal digits. A cached result
// of one policy is valid for another policy with the same fingerprint. Sigstore's public
// root keeps its fingerprint when it is renewed.
func (p *Policy) Fingerprint() string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q\n", p.format, p.copies)
	for _, way := range p.ways {
		fmt.Fprintf(sum, "key %q %t\n", way.hint, way.ended(time.Now()))
	}
	fmt.Fprintf(sum, "identity %q\n", p.identity)
	if p.root != nil {
		fmt.Fprintf(sum, "root %x\n", p.root.content)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
