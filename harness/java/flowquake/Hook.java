package flowquake;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What user code asks before each record, and whoever reaches a store before each request, where something is ordered: it fails, waits,
 * or goes on as it is told.
 *
 * <p>Whether something is ordered is the first two bytes of a file, so that a record costs one look at it. The answer to user
 * code is nine bytes: what to do, and for how many nanoseconds to wait (big-endian). Requests ask on a socket of their own, a line of JSON
 * each way, since whoever drives the run must not wait with them.
 */
final class Hook {
    private static final String FLAG = System.getProperty("flowquake.flag");
    /** Not a channel: that would be closed for all threads by the interrupt of one whose task is canceled. */
    private static final RandomAccessFile FILE = open();

    private static final String NODE = System.getProperty("flowquake.node", "?");
    /** The folder of the run, with `checkpoints` and `output`. */
    private static final String ROOT = System.getProperty("flowquake.root");
    private static final Pattern CHECKPOINT = Pattern.compile("/chk-(\\d{1,18})/(.*)$");
    private static final Pattern ANSWER =
            Pattern.compile("\"Request\":\\[\\{\"secs\":(\\d+),\"nanos\":(\\d+)\\},(?:null|\"(\\w+)\")\\]");

    private static final byte GO = 0;
    private static final byte ERROR = 1;
    private static final byte PANIC = 2;
    private static final byte WAIT = 3;

    private Hook() {}

    private static RandomAccessFile open() {
        if (FLAG == null) {
            return null;
        }
        try {
            return new RandomAccessFile(FLAG, "r");
        } catch (IOException gone) {
            return null;
        }
    }

    /** User code is given this record. */
    static void atRecord(String source, int split, long position) {
        if (!stands()) {
            return;
        }
        ByteBuffer answer = Wire.ask(source, "record " + split + " " + position, 9);
        if (answer == null) {
            return;
        }
        byte what = answer.get(0);
        String where = " (split " + split + ", position " + position + ")";
        if (what == ERROR) {
            throw new UserCodeError("flowquake: user code returned an error because it was told to" + where);
        } else if (what == PANIC) {
            throw new UserCodePanic("flowquake: panic of user code because it was told to" + where);
        } else if (what == WAIT) {
            sleep(answer.getLong(1));
        } else if (what != GO) {
            throw new IllegalStateException("an answer that nobody understands: " + what);
        }
    }

    /** A request goes to a store. Returns what is done to it, or an empty text; fails if it gets no further than here. */
    static String request(String access, org.apache.flink.core.fs.Path path, long bytes) throws IOException {
        // Of what was recovered the file is not known.
        String file = path == null ? "?" : path.getPath();
        if (ROOT == null || (standing() & 0xff) == 0) {
            return "";
        }
        boolean output = path == null || file.startsWith(ROOT + "/output");
        // Flink puts the checkpoints of a job into a folder of its own, and gives their numbers no fixed width.
        Matcher checkpoint = CHECKPOINT.matcher(file);
        String within =
                checkpoint.find()
                        ? String.format("chk-%08d/%s", Long.parseLong(checkpoint.group(1)), checkpoint.group(2))
                        : file;
        String question =
                String.format(
                        "{\"Request\":{\"node\":\"%s\",\"store\":\"%s\",\"access\":\"%s\",\"path\":\"%s\",\"bytes\":%d}}\n",
                        NODE, output ? "output" : "checkpoints", access, within.replaceAll("[\"\\\\]", "_"), bytes);
        Matcher answer = ANSWER.matcher(ask(question));
        if (!answer.find()) {
            throw new IOException("an answer that nobody understands");
        }
        sleep(Long.parseLong(answer.group(1)) * 1_000_000_000 + Long.parseLong(answer.group(2)));
        String spoilt = answer.group(3) == null ? "" : answer.group(3);
        switch (spoilt) {
            case "Unavailable":
                throw new IOException("flowquake: the store is not available: " + file);
            case "Failed":
                throw new IOException("flowquake: the write failed: " + file);
            case "NoSpace":
                throw new IOException("flowquake: no space left on device: " + file);
            default:
                return spoilt;
        }
    }

    static IOException unanswered(org.apache.flink.core.fs.Path path) {
        return new IOException("flowquake: the connection broke before the answer: " + path);
    }

    /** Asks whoever answers requests; a connection for each question, since a thread may be interrupted while it waits. */
    private static String ask(String question) throws IOException {
        try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(FLAG.replaceFirst("flag$", "ask")))) {
            ByteBuffer out = ByteBuffer.wrap(question.getBytes(StandardCharsets.UTF_8));
            while (out.hasRemaining()) {
                channel.write(out);
            }
            StringBuilder line = new StringBuilder();
            ByteBuffer in = ByteBuffer.allocate(256);
            while (line.indexOf("\n") < 0) {
                in.clear();
                if (channel.read(in) < 0) {
                    throw new IOException("nobody answers");
                }
                line.append(new String(in.array(), 0, in.position(), StandardCharsets.UTF_8));
            }
            return line.toString();
        }
    }

    private static boolean stands() {
        return standing() != 0;
    }

    /** Of user code in the upper byte, otherwise in the lower one. */
    private static int standing() {
        if (FILE == null) {
            return 0;
        }
        try {
            synchronized (FILE) {
                FILE.seek(0);
                return FILE.readUnsignedShort();
            }
        } catch (IOException gone) {
            // Whoever watches is gone, and this process with it.
            return 0;
        }
    }

    private static void sleep(long nanos) {
        try {
            Thread.sleep(nanos / 1_000_000, (int) (nanos % 1_000_000));
        } catch (InterruptedException canceled) {
            Thread.currentThread().interrupt();
        }
    }

    /** As a function that throws what it may throw. */
    static final class UserCodeError extends RuntimeException {
        UserCodeError(String what) {
            super(what);
        }
    }

    /** As a function that fails where nobody expects it. */
    static final class UserCodePanic extends Error {
        UserCodePanic(String what) {
            super(what);
        }
    }
}
