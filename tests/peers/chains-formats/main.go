// Command chains-formats answers what Tekton Chains' formatters make of a run.
//
// It reads lines {"object": RUN, "taskRuns": [TASKRUN…], "asks": [{"format", "deep", "buildType", "builderID"}…]} and
// answers each with {"answers": […]}: for each ask {"statement": JSON}, {"error": TEXT} or {"panic": TEXT}. It is
// built in a module that repeats the requires of Chains: see build_chains_formats of tests/cluster/install.sh.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/tektoncd/chains/pkg/chains/formats"
	_ "github.com/tektoncd/chains/pkg/chains/formats/all"
	"github.com/tektoncd/chains/pkg/chains/objects"
	"github.com/tektoncd/chains/pkg/config"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/protojson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/logging"
)

// The longest line that is read.
const lineBytes = 64 << 20

type question struct {
	Object   json.RawMessage   `json:"object"`
	TaskRuns []json.RawMessage `json:"taskRuns"`
	Asks     []ask             `json:"asks"`
}

type ask struct {
	Format    string `json:"format"`
	Deep      bool   `json:"deep"`
	BuildType string `json:"buildType"`
	BuilderID string `json:"builderID"`
}

type answer struct {
	Statement any    `json:"statement,omitempty"`
	Error     string `json:"error,omitempty"`
	Panic     string `json:"panic,omitempty"`
}

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chains-formats:", err)
		os.Exit(1)
	}
}

func serve(in io.Reader, out io.Writer) error {
	ctx := logging.WithLogger(context.Background(), zap.NewNop().Sugar())
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 1<<20), lineBytes)
	written := json.NewEncoder(out)
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return err
		}
		answers := make([]answer, 0, len(q.Asks))
		for _, ask := range q.Asks {
			answers = append(answers, ask.answer(ctx, &q))
		}
		if err := written.Encode(map[string]any{"answers": answers}); err != nil {
			return err
		}
	}
	return lines.Err()
}

// answer reads the run anew, so that no formatter sees what another one did to it.
func (a ask) answer(ctx context.Context, q *question) (found answer) {
	defer func() {
		if cause := recover(); cause != nil {
			found = answer{Panic: fmt.Sprint(cause)}
		}
	}()
	statement, err := a.statement(ctx, q)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Statement: statement}
}

func (a ask) statement(ctx context.Context, q *question) (any, error) {
	object, err := read(q)
	if err != nil {
		return nil, err
	}
	var settings config.Config
	settings.Builder.ID = a.BuilderID
	settings.BuildDefinition.BuildType = a.BuildType
	settings.Artifacts.PipelineRuns.DeepInspectionEnabled = a.Deep
	payloader, err := formats.GetPayloader(config.PayloadType(a.Format), settings)
	if err != nil {
		return nil, err
	}
	payload, err := payloader.CreatePayload(ctx, object)
	if err != nil {
		return nil, err
	}
	// As Chains writes it before it signs.
	var text []byte
	switch statement := payload.(type) {
	case intoto.Statement:
		text, err = protojson.Marshal(&statement)
	case *intoto.Statement:
		text, err = protojson.Marshal(statement)
	default:
		text, err = json.Marshal(payload)
	}
	return json.RawMessage(text), err
}

// read makes of the question what Chains' reconcilers have: objects from a cache that doesn't keep what kind they
// are of.
func read(q *question) (objects.TektonObject, error) {
	var meta struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(q.Object, &meta); err != nil {
		return nil, err
	}
	switch meta.Kind {
	case "TaskRun":
		var run v1.TaskRun
		if err := json.Unmarshal(q.Object, &run); err != nil {
			return nil, err
		}
		run.TypeMeta = metav1.TypeMeta{}
		return objects.NewTaskRunObjectV1(&run), nil
	case "PipelineRun":
		var run v1.PipelineRun
		if err := json.Unmarshal(q.Object, &run); err != nil {
			return nil, err
		}
		run.TypeMeta = metav1.TypeMeta{}
		pipeline := objects.NewPipelineRunObjectV1(&run)
		for _, text := range q.TaskRuns {
			var child v1.TaskRun
			if err := json.Unmarshal(text, &child); err != nil {
				return nil, err
			}
			child.TypeMeta = metav1.TypeMeta{}
			pipeline.AppendTaskRun(&child)
		}
		return pipeline, nil
	}
	return nil, fmt.Errorf("the kind %q is not known", meta.Kind)
}
