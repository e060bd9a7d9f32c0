package flowquake;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;

/**
 * What user code asks before each record, where something is ordered: it fails, waits, or goes on as it is told.
 *
 * <p>Whether something is ordered is the first two bytes of a file, so that a record costs one look at it. The answer is nine bytes: what
 * to do, and for how many nanoseconds to wait (big-endian).
 */
final class Hook {
    private static final String FLAG = System.getProperty("flowquake.flag");
    /** Not a channel: that would be closed for all threads by the interrupt of one whose task is canceled. */
    private static final RandomAccessFile FILE = open();

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

    private static boolean stands() {
        if (FILE == null) {
            return false;
        }
        try {
            synchronized (FILE) {
                FILE.seek(0);
                return FILE.readShort() != 0;
            }
        } catch (IOException gone) {
            // Whoever watches is gone, and this process with it.
            return false;
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
