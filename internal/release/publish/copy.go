package publish

import (
	"context"
	"errors"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/withdrawn"
)

// copyRelease copies a published release with its attachments to another registry, in the
// order in which it was published. It builds and signs nothing. published has the images,
// then the record.
func (p *Publisher) copyRelease(ctx context.Context, to *registry.Client, r *releasePush, published []Result) []Result {
	failed := func(err error) []Result {
		return []Result{{Name: r.rel.Name(), State: state.Failed, Err: &release.Failure{Step: "copy to " + to.String(), Err: state.Explained(err)}}}
	}
	lacks, err := p.lacksIn(ctx, to, r)
	if err != nil {
		return failed(err)
	}
	var results []Result
	var tags []state.Tagging
	for _, there := range published {
		c := copyOf{publisher: p, rel: r, to: to, from: there.Digest, lacks: lacks, result: Result{Name: there.Name, Ref: there.Ref}}
		if _, err := p.run(ctx, step{"copy", c.isThere, c.put}); err != nil {
			return failed(err)
		}
		results = append(results, c.result)
		if c.isNew && !p.DryRun {
			tags = append(tags, state.Tagging{Ref: c.result.Ref, Digest: c.result.Digest})
		}
	}
	if _, err := p.run(ctx, p.tagStep(to, r.rel.App.Name, tags)); err != nil {
		return failed(err)
	}
	return results
}

// lacksIn returns a function that reports whether a digest of a release lacks attachments in
// another registry. It returns nil if this run published the release, because then nothing was
// compared.
func (p *Publisher) lacksIn(ctx context.Context, to *registry.Client, r *releasePush) (func(name.Digest) bool, error) {
	if s := r.there.State; s != state.Published && s != state.Incomplete {
		return nil, nil
	}
	tag, err := to.Tag(r.rel.Ref())
	if err != nil {
		return nil, err
	}
	own := state.Tagging{Ref: r.rel.Ref(), Tag: tag, Digest: tag.Context().Digest(r.there.Digest.DigestStr())}
	there, err := p.Reader.LookCopied(ctx, to, r.rel, own, r.there.Record)
	if err == nil {
		r.copied[to] = there
	}
	return func(digest name.Digest) bool {
		return slices.ContainsFunc(there.Lacks, func(l state.Lacking) bool { return l.Digest.Context() == digest.Context() })
	}, err
}

// copyOf is an image or a record to copy to another registry.
type copyOf struct {
	publisher *Publisher
	rel       *releasePush
	to        *registry.Client
	from      name.Digest
	lacks     func(name.Digest) bool
	result    Result
	isNew     bool // the registry does not have it
}

// isThere compares the copy with the published original.
func (c *copyOf) isThere(ctx context.Context) (skip, error) {
	p := c.publisher
	var err error
	if c.result.Tag, err = c.to.Tag(c.result.Ref); err != nil {
		return "", err
	}
	c.result.Digest = c.result.Tag.Context().Digest(c.from.DigestStr())
	head, err := c.to.HeadAt(ctx, c.result.Tag, c.from.DigestStr())
	switch {
	case err == nil && head.Digest.String() != c.from.DigestStr() && !p.Force:
		return "", state.MovedFault(&state.MovedError{Reference: c.result.Tag.String(), Shows: head.Digest.String(), Signed: c.from.DigestStr(), By: "in " + p.registry().String() + " it points to"}, c.rel.rel.PutBack())
	case err != nil && !errors.Is(err, registry.ErrNotFound):
		return "", err
	case err != nil || head.Digest.String() != c.from.DigestStr():
		c.result.State, c.isNew = p.made(state.Published), true
		return "", nil
	}
	c.result.State = state.Unchanged
	switch { // attach missing and new attachments to the existing copy
	case c.lacks == nil:
		return "", nil
	case c.lacks(c.result.Digest):
		if c.result.State, c.result.Reason = p.made(state.Attached), "missing attachments"; p.DryRun {
			c.result.Reason = "missing attachments would be attached again"
		}
		return "", nil
	case p.Resign:
		return "", nil
	}
	return "it is there", nil
}

// put copies an image or a record, with its attachments and those of its children, without
// a tag. It verifies the copy.
func (c *copyOf) put(ctx context.Context) error {
	p := c.publisher
	signing := p.signing()
	if _, err := c.to.Copy(ctx, c.from, p.registry(), c.result.Ref); err != nil || signing == nil {
		return err
	}
	policy := signing.Policy
	if p.Resign {
		signer, err := signing.Signer()
		if err != nil {
			return err
		}
		policy = signer.Policy()
	}
	subjects, err := p.subjectsOf(ctx, c.from)
	if err != nil {
		return err
	}
	var copies []name.Digest
	for _, subject := range subjects {
		copies = append(copies, c.result.Digest.Context().Digest(subject.DigestStr()))
	}
	var without []string
	if !c.isNew { // announce attaches the statement after everything else
		without = []string{withdrawn.PredicateType}
	}
	if _, err := signing.Client.Copy(ctx, policy, subjects, copies, without...); err != nil {
		return err
	}
	if err := detachFormer(ctx, signing, copies); err != nil {
		return err
	}
	for _, subject := range copies {
		if len(subjects) == 1 {
			_, err = signing.Client.Verify(ctx, subject, signing.Policy)
		} else {
			_, _, err = state.VerifyImage(ctx, signing, subject)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
