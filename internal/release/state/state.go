// Package state compares the catalogue with what the OCI layout and the registries have.
// It writes to neither.
package state

// State is what an image or a release is, or what a run made of it: the one vocabulary of
// build, plan, status, check, verify and push.
type State string

// What is there of a release, compared with the catalogue.
const (
	Published    State = "published"     // the record verifies and names the same image keys, and all tags point to its digests
	NotPublished State = "not published" // there is no record
	Incomplete   State = "incomplete"    // the record and the tags are right; an attachment is gone
	NotTagged    State = "not tagged"    // the record is right, an image has no tag
	Moved        State = "moved"         // a tag shows something else than what was signed for it
	NotSigned    State = "not signed"    // the record names the same keys, and its signature is missing or not ours
	OtherContent State = "other content" // the record names other keys, or an image's tag is taken
	NotValid     State = "not valid"     // an attachment is there and does not verify
	Broken       State = "broken"        // the definition cannot be evaluated
	Unknown      State = "unknown"       // a registry does not say
	Verified     State = "verified"
)

// What a run made of an image or a release.
const (
	Built     State = "built"
	Unchanged State = "unchanged" // it was there before
	Skipped   State = "skipped"   // no system can have it
	Failed    State = "failed"
	Attached  State = "attached" // again, what was gone
	Signed    State = "signed"   // again, with the present key
	Tagged    State = "moved"    // a moving tag
	Held      State = "held"     // pushed by digest, without a tag: its release is not whole
	DryRun    State = "dry-run"  // a run without --dry-run would do something
)

// Action is what build or push would do with an image in a state, in the words of plan.
type Action string

const (
	ToBuild   Action = "build"   // it is in neither, or its key changed
	ToPush    Action = "push"    // it is built, and not published
	ToSign    Action = "sign"    // it is NotSigned: built again where the layout lacks it, and compared
	ToAttach  Action = "attach"  // it is Incomplete
	ToTag     Action = "tag"     // it is NotTagged
	ToRefuse  Action = "refuse"  // OtherContent
	ToPutBack Action = "moved"   // Moved: push refuses
	ToUnknown Action = "unknown" // Unknown
	ToFail    Action = "fail"    // its definition is wrong
	ToNothing Action = "nothing"
)
