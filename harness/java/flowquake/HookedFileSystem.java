package flowquake;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.URI;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.fs.FSDataOutputStream;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.FileSystemFactory;
import org.apache.flink.core.fs.Path;
import org.apache.flink.core.fs.RecoverableFsDataOutputStream;
import org.apache.flink.core.fs.RecoverableWriter;
import org.apache.flink.core.fs.local.LocalFileSystem;
import org.apache.flink.core.fs.local.LocalRecoverableWriter;

/**
 * Local folders as durable stores whose requests ask before they go on, where something stands in their way ({@link Hook#request}).
 *
 * <p>Paths begin with {@code flowquake:/}. A file that is written is one request, asked about when it is closed, as of an object store.
 */
public final class HookedFileSystem extends LocalFileSystem {
    private static final URI ADDRESS = URI.create("flowquake:///");

    /** Found by Flink on its class path. */
    public static final class Factory implements FileSystemFactory {
        @Override
        public String getScheme() {
            return "flowquake";
        }

        @Override
        public FileSystem create(URI address) {
            return new HookedFileSystem();
        }
    }

    @Override
    public URI getUri() {
        return ADDRESS;
    }

    private void read(Path path) throws IOException {
        Hook.request("Read", path, pathToFile(path).length());
    }

    @Override
    public FSDataInputStream open(Path path) throws IOException {
        read(path);
        return super.open(path);
    }

    @Override
    public FSDataInputStream open(Path path, int buffer) throws IOException {
        read(path);
        return super.open(path, buffer);
    }

    @Override
    public FileStatus[] listStatus(Path path) throws IOException {
        Hook.request("List", path, 0);
        return super.listStatus(path);
    }

    @Override
    public boolean delete(Path path, boolean recursive) throws IOException {
        Hook.request("Delete", path, 0);
        return super.delete(path, recursive);
    }

    @Override
    public boolean rename(Path from, Path to) throws IOException {
        boolean ambiguous = Hook.request("Rename", to, 0).equals("Ambiguous");
        boolean done = super.rename(from, to);
        if (ambiguous) {
            throw Hook.unanswered(to);
        }
        return done;
    }

    @Override
    public FSDataOutputStream create(Path path, WriteMode mode) throws IOException {
        FSDataOutputStream inner = super.create(path, mode);
        File file = pathToFile(path);
        return new FSDataOutputStream() {
            private boolean closed;

            @Override
            public long getPos() throws IOException {
                return inner.getPos();
            }

            @Override
            public void write(int value) throws IOException {
                inner.write(value);
            }

            @Override
            public void write(byte[] bytes, int from, int length) throws IOException {
                inner.write(bytes, from, length);
            }

            @Override
            public void flush() throws IOException {
                inner.flush();
            }

            @Override
            public void sync() throws IOException {
                inner.sync();
            }

            @Override
            public void close() throws IOException {
                if (closed) {
                    return;
                }
                closed = true;
                long length = inner.getPos();
                inner.close();
                String spoilt;
                try {
                    spoilt = Hook.request("Put", path, length);
                } catch (IOException failed) {
                    // Nothing was written.
                    file.delete();
                    throw failed;
                }
                if (spoilt.equals("Torn")) {
                    try (RandomAccessFile torn = new RandomAccessFile(file, "rw")) {
                        torn.setLength(length / 2);
                    }
                } else if (spoilt.equals("Ambiguous")) {
                    throw Hook.unanswered(path);
                }
            }
        };
    }

    @Override
    public LocalRecoverableWriter createRecoverableWriter() throws IOException {
        return new Writer(this);
    }

    /** Files that get their names when they are committed. */
    private static final class Writer extends LocalRecoverableWriter {
        Writer(LocalFileSystem folders) {
            super(folders);
        }

        @Override
        public RecoverableFsDataOutputStream open(Path path) throws IOException {
            return new Recoverable(super.open(path), path);
        }

        @Override
        public RecoverableFsDataOutputStream recover(RecoverableWriter.ResumeRecoverable state) throws IOException {
            return new Recoverable(super.recover(state), null);
        }

        @Override
        public RecoverableFsDataOutputStream.Committer recoverForCommit(RecoverableWriter.CommitRecoverable state)
                throws IOException {
            return new Named(super.recoverForCommit(state), null);
        }
    }

    /** Its bytes go to the file when it is closed, so that what is done to them can be decided then. */
    private static final class Recoverable extends RecoverableFsDataOutputStream {
        private final RecoverableFsDataOutputStream inner;
        private final Path path;
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        Recoverable(RecoverableFsDataOutputStream inner, Path path) {
            this.inner = inner;
            this.path = path;
        }

        @Override
        public long getPos() throws IOException {
            return inner.getPos() + bytes.size();
        }

        @Override
        public void write(int value) {
            bytes.write(value);
        }

        @Override
        public void write(byte[] given, int from, int length) {
            bytes.write(given, from, length);
        }

        @Override
        public void flush() {}

        @Override
        public void sync() throws IOException {
            hand(false);
            inner.sync();
        }

        private void hand(boolean torn) throws IOException {
            byte[] all = bytes.toByteArray();
            inner.write(all, 0, torn ? all.length / 2 : all.length);
            bytes.reset();
        }

        @Override
        public RecoverableWriter.ResumeRecoverable persist() throws IOException {
            hand(false);
            return inner.persist();
        }

        @Override
        public RecoverableFsDataOutputStream.Committer closeForCommit() throws IOException {
            String spoilt = Hook.request("Put", path, bytes.size());
            hand(spoilt.equals("Torn"));
            RecoverableFsDataOutputStream.Committer closed = inner.closeForCommit();
            if (spoilt.equals("Ambiguous")) {
                throw Hook.unanswered(path);
            }
            return new Named(closed, path);
        }

        @Override
        public void close() throws IOException {
            inner.close();
        }
    }

    /** What gets its name when it is committed. */
    private static final class Named implements RecoverableFsDataOutputStream.Committer {
        private final RecoverableFsDataOutputStream.Committer inner;
        private final Path path;

        Named(RecoverableFsDataOutputStream.Committer inner, Path path) {
            this.inner = inner;
            this.path = path;
        }

        @Override
        public void commit() throws IOException {
            boolean ambiguous = Hook.request("Rename", path, 0).equals("Ambiguous");
            inner.commit();
            if (ambiguous) {
                throw Hook.unanswered(path);
            }
        }

        @Override
        public void commitAfterRecovery() throws IOException {
            boolean ambiguous = Hook.request("Rename", path, 0).equals("Ambiguous");
            inner.commitAfterRecovery();
            if (ambiguous) {
                throw Hook.unanswered(path);
            }
        }

        @Override
        public RecoverableWriter.CommitRecoverable getRecoverable() {
            return inner.getRecoverable();
        }
    }
}
