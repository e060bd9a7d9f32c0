package flowquake;

import java.io.IOException;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * Reads records from files, one file per split, and emits each record at its arrival time.
 *
 * <p>A line is the arrival time in microseconds after the start, a space, and the record. All attempts of a job have
 * the same start, so records that arrived while the job was down are read at once. Split number n goes to subtask n
 * modulo the parallelism.
 */
public final class TimedSource implements Source<String, TimedSource.Split, byte[]> {
    private final String folder;
    private final int splits;
    private final long startMillis;

    public TimedSource(String folder, int splits, long startMillis) {
        this.folder = folder;
        this.splits = splits;
        this.startMillis = startMillis;
    }

    /** A file, and the number of its records that were read. */
    public static final class Split implements SourceSplit, Serializable {
        final int number;
        final long position;

        Split(int number, long position) {
            this.number = number;
            this.position = position;
        }

        @Override
        public String splitId() {
            return Integer.toString(number);
        }
    }

    @Override
    public Boundedness getBoundedness() {
        return Boundedness.BOUNDED;
    }

    @Override
    public SourceReader<String, Split> createReader(SourceReaderContext context) {
        return new Reader(context);
    }

    @Override
    public SplitEnumerator<Split, byte[]> createEnumerator(SplitEnumeratorContext<Split> context) {
        return new Enumerator(context, false);
    }

    @Override
    public SplitEnumerator<Split, byte[]> restoreEnumerator(SplitEnumeratorContext<Split> context, byte[] given) {
        return new Enumerator(context, given.length > 0 && given[0] == 1);
    }

    @Override
    public SimpleVersionedSerializer<Split> getSplitSerializer() {
        return new SimpleVersionedSerializer<>() {
            @Override
            public int getVersion() {
                return 1;
            }

            @Override
            public byte[] serialize(Split split) {
                return ByteBuffer.allocate(12).putInt(split.number).putLong(split.position).array();
            }

            @Override
            public Split deserialize(int version, byte[] bytes) {
                ByteBuffer in = ByteBuffer.wrap(bytes);
                return new Split(in.getInt(), in.getLong());
            }
        };
    }

    @Override
    public SimpleVersionedSerializer<byte[]> getEnumeratorCheckpointSerializer() {
        return new SimpleVersionedSerializer<>() {
            @Override
            public int getVersion() {
                return 1;
            }

            @Override
            public byte[] serialize(byte[] given) {
                return given;
            }

            @Override
            public byte[] deserialize(int version, byte[] bytes) {
                return bytes;
            }
        };
    }

    /**
     * Gives each reader its splits once. A restarted reader either has the splits of its snapshot, or Flink returns
     * these splits here.
     */
    private final class Enumerator implements SplitEnumerator<Split, byte[]> {
        private final SplitEnumeratorContext<Split> context;
        /** Splits that no reader has now, by the subtask that gets them. */
        private final Map<Integer, List<Split>> waiting = new TreeMap<>();

        Enumerator(SplitEnumeratorContext<Split> context, boolean given) {
            this.context = context;
            if (!given) {
                for (int split = 0; split < splits; split++) {
                    hand(new Split(split, 0));
                }
            }
        }

        private void hand(Split split) {
            waiting.computeIfAbsent(split.number % context.currentParallelism(), subtask -> new ArrayList<>()).add(split);
        }

        @Override
        public void start() {}

        @Override
        public void handleSplitRequest(int subtask, String host) {}

        @Override
        public void addSplitsBack(List<Split> back, int subtask) {
            back.forEach(this::hand);
            if (context.registeredReaders().containsKey(subtask)) {
                addReader(subtask);
            }
        }

        @Override
        public void addReader(int subtask) {
            List<Split> own = waiting.remove(subtask);
            if (own != null) {
                for (Split split : own) {
                    context.assignSplit(split, subtask);
                }
            }
            context.signalNoMoreSplits(subtask);
        }

        @Override
        public byte[] snapshotState(long checkpoint) {
            return new byte[] {(byte) (waiting.isEmpty() ? 1 : 0)};
        }

        @Override
        public void close() {}
    }

    /** A split that is being read. */
    private static final class Open {
        final int number;
        final List<String> lines;
        int next;

        Open(Split split, List<String> lines) {
            this.number = split.number;
            this.lines = lines;
            this.next = (int) split.position;
        }

        boolean ended() {
            return next >= lines.size();
        }

        long dueMicros() {
            String line = lines.get(next);
            return Long.parseLong(line.substring(0, line.indexOf(' ')));
        }
    }

    private final class Reader implements SourceReader<String, Split> {
        private final SourceReaderContext context;
        private final List<Open> open = new ArrayList<>();
        private final ScheduledExecutorService timer =
                Executors.newSingleThreadScheduledExecutor(
                        work -> {
                            Thread thread = new Thread(work, "flowquake-arrivals");
                            thread.setDaemon(true);
                            return thread;
                        });
        private CompletableFuture<Void> available = new CompletableFuture<>();
        private boolean allGiven;
        private boolean begun;
        private boolean caughtUp;

        Reader(SourceReaderContext context) {
            this.context = context;
        }

        private String subtask() {
            return "source." + context.getIndexOfSubtask();
        }

        @Override
        public void start() {}

        @Override
        public InputStatus pollNext(ReaderOutput<String> output) {
            long now = System.currentTimeMillis() * 1000 - startMillis * 1000;
            Open first = null;
            boolean ended = true;
            for (Open split : open) {
                if (!split.ended()) {
                    ended = false;
                    if (first == null || split.dueMicros() < first.dueMicros()) {
                        first = split;
                    }
                }
            }
            if (ended) {
                if (!allGiven) {
                    return rest(Long.MAX_VALUE);
                }
                if (!caughtUp) {
                    caughtUp = true;
                    Wire.tell("user", subtask(), "caught-up");
                }
                return InputStatus.END_OF_INPUT;
            }
            if (first.dueMicros() > now) {
                if (!caughtUp) {
                    caughtUp = true;
                    Wire.tell("user", subtask(), "caught-up");
                }
                return rest(first.dueMicros() - now);
            }
            if (!begun) {
                begun = true;
                Wire.tell("user", subtask(), "first-record");
            }
            String line = first.lines.get(first.next);
            Hook.atRecord(subtask(), first.number, first.next);
            first.next++;
            output.collect(line.substring(line.indexOf(' ') + 1));
            return InputStatus.MORE_AVAILABLE;
        }

        private InputStatus rest(long micros) {
            if (available.isDone()) {
                available = new CompletableFuture<>();
            }
            if (micros != Long.MAX_VALUE) {
                CompletableFuture<Void> waking = available;
                timer.schedule(() -> waking.complete(null), micros, TimeUnit.MICROSECONDS);
            }
            return InputStatus.NOTHING_AVAILABLE;
        }

        @Override
        public CompletableFuture<Void> isAvailable() {
            return available;
        }

        @Override
        public List<Split> snapshotState(long checkpoint) {
            List<Split> state = new ArrayList<>();
            StringBuilder positions = new StringBuilder("snapshot " + checkpoint);
            for (Open split : open) {
                state.add(new Split(split.number, split.next));
                positions.append(' ').append(split.number).append('=').append(split.next);
            }
            Wire.tell("user", subtask(), positions.toString());
            return state;
        }

        @Override
        public void addSplits(List<Split> splits) {
            for (Split split : splits) {
                try {
                    open.add(new Open(split, Files.readAllLines(Path.of(folder, "split-" + split.number), StandardCharsets.UTF_8)));
                } catch (IOException error) {
                    throw new java.io.UncheckedIOException(error);
                }
            }
            available.complete(null);
        }

        @Override
        public void notifyNoMoreSplits() {
            allGiven = true;
            available.complete(null);
        }

        @Override
        public void close() {
            timer.shutdownNow();
        }
    }
}
