package sign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	statementType = "https://in-toto.io/Statement/v1"
	payloadType   = "application/vnd.in-toto+json"
)

// An inTotoStatement binds a predicate to artifacts:
// https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
type inTotoStatement struct {
	Type          string           `json:"_type"`
	Subject       []inTotoResource `json:"subject"`
	PredicateType string           `json:"predicateType"`
	Predicate     json.RawMessage  `json:"predicate,omitempty"`
}

type inTotoResource struct {
	Name   string            `json:"name,omitempty"`
	Digest map[string]string `json:"digest"`
}

// newStatement encodes a statement with the predicate about all subjects. The same
// arguments give the same bytes.
func newStatement(predicateType string, predicate json.RawMessage, subjects []name.Digest) ([]byte, error) {
	s := inTotoStatement{Type: statementType, PredicateType: predicateType, Predicate: predicate}
	for _, subject := range subjects {
		hash, err := v1.NewHash(subject.DigestStr())
		if err != nil {
			return nil, fmt.Errorf("name %s in a statement: %w", subject, err)
		}
		// Names within a statement should differ. Index and children share a repository, so
		// the name includes the digest.
		s.Subject = append(s.Subject, inTotoResource{Name: subject.Name(), Digest: map[string]string{hash.Algorithm: hash.Hex}})
	}
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false) // keep the predicate's bytes, apart from white space
	if err := encoder.Encode(s); err != nil {
		return nil, fmt.Errorf("write a statement of type %s: %w", predicateType, err)
	}
	return bytes.TrimSuffix(encoded.Bytes(), []byte("\n")), nil
}

// errOtherType means that an attachment is valid but has another predicate type than the
// requested one.
var errOtherType = errors.New("the signed statement is of another type")

// readStatement decodes a payload whose signature was verified. It checks the predicate
// type and that the digest is among the subjects.
func readStatement(payload []byte, predicateType string, digest v1.Hash) (*Statement, error) {
	var s inTotoStatement
	if err := json.Unmarshal(payload, &s); err != nil {
		return nil, fmt.Errorf("read a signed statement: %w", err)
	}
	if s.PredicateType != predicateType {
		return nil, fmt.Errorf("%w: %q", errOtherType, s.PredicateType)
	}
	statement := &Statement{PredicateType: s.PredicateType, Predicate: s.Predicate}
	covered := false
	for _, subject := range s.Subject {
		for algorithm, hex := range subject.Digest {
			hash := v1.Hash{Algorithm: algorithm, Hex: hex}
			statement.Subjects = append(statement.Subjects, hash)
			if hash == digest {
				covered, statement.names = true, append(statement.names, subject.Name)
			}
		}
	}
	if !covered {
		return nil, fmt.Errorf("the signed statement is about something else: %v", statement.Subjects)
	}
	return statement, nil
}

// samePredicate reports whether two JSON values are the same apart from white space.
func samePredicate(a, b json.RawMessage) bool {
	var compactA, compactB bytes.Buffer
	if json.Compact(&compactA, a) != nil || json.Compact(&compactB, b) != nil {
		return false
	}
	return bytes.Equal(compactA.Bytes(), compactB.Bytes())
}
